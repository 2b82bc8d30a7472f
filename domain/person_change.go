package domain

import (
	"cmp"
	"slices"
	"time"
)

// Next is the person as their next revision.
func (p Person) Next(now time.Time) Person {
	p.Revision++
	p.UpdatedAt = Stamp(now)
	return p
}

// Absorb is the person after another has turned out to be the same: what the
// person has stands, the rest comes from the other (channelx.md 4.3).
func (p Person) Absorb(other Person) Person {
	p.Name = cmp.Or(p.Name, other.Name)
	p.Email = cmp.Or(p.Email, other.Email)
	p.Phone = cmp.Or(p.Phone, other.Phone)
	p.Identifier = cmp.Or(p.Identifier, other.Identifier)
	p.Avatar = cmp.Or(p.Avatar, other.Avatar)
	p.Additional = other.Additional.deepWith(p.Additional)
	p.Custom = other.Custom.deepWith(p.Custom)
	if len(other.Labels) > 0 {
		p.Labels = Sorted(slices.Concat(p.Labels, other.Labels))
	}
	return p
}

// Same tells whether nothing that can change has.
func (p Person) Same(before Person) bool { return p.Since(before) == nil }

// Since lists what is not what it was; nil when nothing is.
func (p Person) Since(before Person) []Change {
	var c changes
	c.add(p.Name != before.Name, "name", before.Name, p.Name)
	c.text("email", before.Email, p.Email)
	c.text("phone_number", before.Phone, p.Phone)
	c.text("identifier", before.Identifier, p.Identifier)
	c.text("avatar_url", before.Avatar, p.Avatar)
	c.add(p.Blocked != before.Blocked, "blocked", before.Blocked, p.Blocked)
	c.object("additional_attributes", before.Additional, p.Additional)
	c.object("custom_attributes", before.Custom, p.Custom)
	c.texts("label_list", before.Labels, p.Labels)
	return c.at(before.UpdatedAt, p.UpdatedAt)
}

// Sorted gives the texts in order, each once and without empty ones.
func Sorted(list []string) []string {
	sorted := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
