package domain

import "time"

// Limits of queues (voximplant-kit.md 6.2).
const (
	MaxQueues            = 20 // of an account
	DefaultQueuePriority = 10 // 1 is served first
	MaxNumberedName      = 255
)

// Queue is where conversations wait for an agent.
type Queue struct {
	Number    int64 // of the account
	Account   string
	Name      string
	MaxWait   int64 // seconds; after that a conversation is unassigned; 0 = for ever
	Priority  int   // 1 to 10; a smaller one is served first
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Validate checks a queue as a person entered it.
func (q Queue) Validate() error {
	if err := length("name", q.Name, 1, MaxNumberedName); err != nil {
		return err
	}
	if q.MaxWait < 0 || q.MaxWait >= MaxCloseSeconds {
		return Invalid("max_wait", "must be from 0 (for ever) to %d seconds", MaxCloseSeconds-1)
	}
	if q.Priority < 1 || q.Priority > DefaultQueuePriority {
		return Invalid("priority", "must be from 1 (served first) to %d", DefaultQueuePriority)
	}
	return nil
}
