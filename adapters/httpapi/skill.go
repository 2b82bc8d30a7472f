package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagSkills = "Skills"

// skillView is a skill as the API shows it.
type skillView struct {
	ID        int64     `json:"id" example:"3"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// skillLevelInput is a skill that is wanted, or that an agent has.
type skillLevelInput struct {
	Skill int64 `json:"skill_id" minimum:"1"`
	Level int   `json:"level" minimum:"1" maximum:"5"`
}

// skillLevelView is a skill that is wanted, or that an agent has.
type skillLevelView struct {
	Skill int64 `json:"skill_id"`
	Level int   `json:"level" doc:"1 to 5."`
}

// levels gives the domain's form.
func levels(in []skillLevelInput) []domain.SkillLevel {
	var out []domain.SkillLevel
	for _, s := range in {
		out = append(out, domain.SkillLevel(s))
	}
	return out
}

// showLevels gives the API's form, which is never null.
func showLevels(in []domain.SkillLevel) []skillLevelView {
	out := make([]skillLevelView, len(in))
	for i, s := range in {
		out[i] = skillLevelView(s)
	}
	return out
}

func showSkill(s domain.Skill) skillView {
	return skillView{ID: s.Number, Name: s.Name, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
}

func numberOfSkill(s domain.Skill) int64 { return s.Number }

func nameOfSkill(s domain.Skill) (int64, string) { return s.Number, s.Name }

func (p *platform) skillRoutes() {
	nounRoutes(p, noun[domain.Skill, nameInput, nameChangeInput, skillView]{
		path: "skills", tag: tagSkills, one: "skill", many: "skills",
		whenRemoved: "409 while a channel or an agent has it.",
		all:         p.Directory.Skills, read: p.Directory.Skill, number: numberOfSkill, show: showSkill,
		create: p.createSkill, change: p.changeSkill, remove: p.removeSkill,
	})
}

func (p *platform) createSkill(ctx context.Context, c caller, _ string, in nameInput) (domain.Skill, error) {
	s, all := domain.Skill{Account: c.Account, Name: in.Name}, p.Directory.Skills(c.Account)
	if err := s.Validate(); err != nil {
		return domain.Skill{}, err
	}
	if err := free(all, "name", "skill", s.Name, 0, nameOfSkill); err != nil {
		return domain.Skill{}, err
	}
	var err error
	if s.Number, err = next(ctx, p, c.Account, "skill", all, numberOfSkill); err != nil {
		return domain.Skill{}, err
	}
	return p.Directory.CreateSkill(ctx, s)
}

func (p *platform) changeSkill(ctx context.Context, c caller, s domain.Skill, in nameChangeInput) (domain.Skill, error) {
	set(&s.Name, in.Name)
	if err := free(p.Directory.Skills(c.Account), "name", "skill", s.Name, s.Number, nameOfSkill); err != nil {
		return domain.Skill{}, err
	}
	return p.Directory.ChangeSkill(ctx, c.Account, s.Number, func(s *domain.Skill) error {
		set(&s.Name, in.Name)
		return s.Validate()
	})
}

func (p *platform) removeSkill(ctx context.Context, c caller, s domain.Skill) error {
	has := func(list []domain.SkillLevel) bool {
		return slices.ContainsFunc(list, func(l domain.SkillLevel) bool { return l.Skill == s.Number })
	}
	for _, ch := range p.Channels.Channels(c.Account) {
		if has(ch.Desk.Skills) {
			return inUse("skill", s.Name, "channel", ch.ID)
		}
	}
	for _, a := range p.Directory.Agents(c.Account) {
		if has(a.Skills) {
			return inUse("skill", s.Name, "agent", a.Username)
		}
	}
	return p.Directory.DeleteSkill(ctx, c.Account, s.Number)
}
