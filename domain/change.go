package domain

import (
	"slices"
	"time"
)

// wireTime is how the wire tells of a time in what changed (channelx.md 2.6).
const wireTime = "2006-01-02T15:04:05.000Z"

func shownTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC().Format(wireTime)
}

func shownText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func shownNumber(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// changes collects what is not what it was.
type changes []Change

func (c *changes) add(differs bool, name string, previous, current any) {
	if differs {
		*c = append(*c, Change{Name: name, Previous: previous, Current: current})
	}
}

func (c *changes) text(name, previous, current string) {
	c.add(previous != current, name, shownText(previous), shownText(current))
}

func (c *changes) number(name string, previous, current int64) {
	c.add(previous != current, name, shownNumber(previous), shownNumber(current))
}

func (c *changes) time(name string, previous, current *time.Time) {
	same := previous == current || previous != nil && current != nil && previous.Equal(*current)
	c.add(!same, name, shownTime(previous), shownTime(current))
}

func (c *changes) object(name string, previous, current Object) {
	c.add(!previous.Equal(current), name, previous.shown(), current.shown())
}

func (c *changes) texts(name string, previous, current []string) {
	c.add(!slices.Equal(previous, current), name, append([]string{}, previous...), append([]string{}, current...)) // lists, also where nothing is in them
}

// at ends the list with when it was, unless nothing changed.
func (c changes) at(previous, current time.Time) []Change {
	if len(c) == 0 {
		return nil
	}
	c.add(true, "updated_at", shownTime(&previous), shownTime(&current))
	return c
}
