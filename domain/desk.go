package domain

import "fmt"

// Bounds of closing times and of a queue's longest wait, in seconds
// (voximplant-kit.md 2.2 and 6.3). Another version of the public page allows 14
// days: this is the one constant to change.
const (
	MinCloseSeconds = 60
	MaxCloseSeconds = 604_800 // 7 days
)

// DefaultCloseSeconds is the closing time of a channel that names none.
const DefaultCloseSeconds = 86_400

// MaxSkills bounds the skills of a channel, an agent or a transfer.
const MaxSkills = 50

// Desk says how the conversations of a channel are looked after
// (voximplant-kit.md 2.2). Queue, Function, FallbackQueue, TopicSet and skills
// are numbers of the account.
type Desk struct {
	Queue         int64 // where a new episode waits
	Function      int64 // or who answers it; with neither it is unassigned
	FallbackQueue int64 // where an episode goes whose function fails; 0 = it stays
	CloseAfter    int64 // closing time of operator and unassigned conversations, seconds
	BotClose      int64 // closing time of bot conversations, seconds
	UseTags       bool  // operators may set the account's tags
	TopicSet      int64 // 0 = none
	Skills        []SkillLevel

	// Wait is the longest wait of Queue as it is now, in seconds, FallbackWait that
	// of FallbackQueue; 0 = for ever. The registry fills them in; they are no settings.
	Wait, FallbackWait int64
}

// Validate checks the settings by themselves; whether what they name is there,
// and CheckWait, is for who has the account at hand.
func (d Desk) Validate() error {
	if d.Queue != 0 && d.Function != 0 {
		return Invalid("redirect", "must name a queue or a function, not both")
	}
	if d.CloseAfter < MinCloseSeconds || d.CloseAfter > MaxCloseSeconds {
		return Invalid("close_after", "must be from %d to %d seconds", MinCloseSeconds, MaxCloseSeconds)
	}
	if d.BotClose < MinCloseSeconds || d.BotClose > MaxCloseSeconds {
		return Invalid("bot_close_after", "must be from %d to %d seconds", MinCloseSeconds, MaxCloseSeconds)
	}
	return ValidateSkills("skills", d.Skills)
}

// CheckWait makes sure that the closing time is greater than a queue's longest
// wait (voximplant-kit.md 6.3); equality is refused.
func (d Desk) CheckWait(q Queue) error {
	if q.MaxWait > 0 && d.CloseAfter <= q.MaxWait {
		return Invalid("close_after", "must be greater than the longest wait of queue %d, which is %d seconds", q.Number, q.MaxWait)
	}
	return nil
}

// ValidateSkills checks a list of skills and levels.
func ValidateSkills(field string, list []SkillLevel) error {
	if len(list) > MaxSkills {
		return Invalid(field, "must hold at most %d skills", MaxSkills)
	}
	for i, s := range list {
		if s.Skill <= 0 {
			return Invalid(fmt.Sprintf("%s[%d].skill_id", field, i), "must be the number of a skill")
		}
		if s.Level < 1 || s.Level > 5 {
			return Invalid(fmt.Sprintf("%s[%d].level", field, i), "must be from 1 to 5")
		}
	}
	return nil
}

// ClosingTerm is what the settings of a channel say of closing times now. Where
// it is shorter than what an episode was told, it counts (voximplant-kit.md 8.5).
type ClosingTerm struct {
	Channel    string
	CloseAfter int64 // seconds; 0 = as the episode was told
	BotClose   int64 // seconds; 0 = as the episode was told
}

// terms are what goes into the channel's events.
func (c Channel) terms() *Terms {
	if !c.Dialect.HasEpisodes() {
		return nil
	}
	return &Terms{
		Queue: c.Desk.Queue, Function: c.Desk.Function, Wait: c.Desk.Wait,
		CloseAfter: c.Desk.CloseAfter, BotClose: c.Desk.BotClose,
	}
}
