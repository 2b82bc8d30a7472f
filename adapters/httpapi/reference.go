package httpapi

import (
	"fmt"

	"github.com/parley-im/parley/domain"
)

// What a request names must be there, in the caller's account.

func (p *platform) namesQueue(account, field string, number int64) error {
	if _, ok := p.Directory.Queue(account, number); !ok {
		return unmet(field, "must be the id of a queue; there is no queue %d", number)
	}
	return nil
}

func (p *platform) namesFunction(account, field string, number int64) error {
	if _, ok := p.Directory.Function(account, number); !ok {
		return unmet(field, "must be the id of a function; there is no function %d", number)
	}
	return nil
}

func (p *platform) nameSkills(account, field string, list []domain.SkillLevel) error {
	for i, s := range list {
		if _, ok := p.Directory.Skill(account, s.Skill); !ok {
			return unmet(fmt.Sprintf("%s[%d].skill_id", field, i), "must be the id of a skill; there is no skill %d", s.Skill)
		}
	}
	return nil
}

// deskHolds makes sure that everything that a channel's desk names is there, and
// that its closing time is greater than the longest wait of its queues
// (voximplant-kit.md 6.3).
func (p *platform) deskHolds(account string, d domain.Desk) error {
	for field, number := range map[string]int64{"redirect.queue_id": d.Queue, "fallback_queue_id": d.FallbackQueue} {
		if number == 0 {
			continue
		}
		if err := p.namesQueue(account, field, number); err != nil {
			return err
		}
		q, _ := p.Directory.Queue(account, number)
		if d.CheckWait(q) != nil {
			return unmet("close_after", "must be greater than the longest wait of queue %d, which is %d seconds", number, q.MaxWait)
		}
	}
	if d.Function != 0 {
		if err := p.namesFunction(account, "redirect.function_id", d.Function); err != nil {
			return err
		}
	}
	if d.TopicSet != 0 {
		if _, ok := p.Directory.TopicSet(account, d.TopicSet); !ok {
			return unmet("topic_set_id", "must be the id of a topic set; there is no topic set %d", d.TopicSet)
		}
	}
	return p.nameSkills(account, "skills", d.Skills)
}
