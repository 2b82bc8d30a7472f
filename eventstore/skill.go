package eventstore

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// skillRecord is the stored form of a skill. Fields are only ever added.
type skillRecord struct {
	Number    int64     `json:"id"`
	Account   string    `json:"account"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func newSkills(r *Registry) *directory[domain.Skill] {
	return newDirectory(r, kindSkill,
		func(s *domain.Skill) entry { return entry{&s.Account, &s.Number, &s.CreatedAt, &s.UpdatedAt} },
		func(s domain.Skill) (skillRecord, error) { return skillRecord(s), nil },
		func(rec skillRecord) (domain.Skill, error) { return domain.Skill(rec), nil })
}

// Skill finds a skill of an account.
func (r *Registry) Skill(account string, number int64) (domain.Skill, bool) {
	return r.skills.get(numbered{account, number})
}

// Skills lists the skills of an account by number.
func (r *Registry) Skills(account string) []domain.Skill { return r.skills.list(account) }

// CreateSkill makes a skill known under the number that it has; CodeConflict when
// that is taken.
func (r *Registry) CreateSkill(ctx context.Context, s domain.Skill) (domain.Skill, error) {
	return r.skills.create(ctx, s)
}

// ChangeSkill changes a skill; CodeNotFound when there is none.
func (r *Registry) ChangeSkill(ctx context.Context, account string, number int64, change func(*domain.Skill) error) (domain.Skill, error) {
	return r.skills.change(ctx, account, number, change)
}

// DeleteSkill forgets a skill; CodeNotFound when there is none.
func (r *Registry) DeleteSkill(ctx context.Context, account string, number int64) error {
	return r.skills.delete(ctx, account, number)
}
