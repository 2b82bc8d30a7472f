package eventstore

import (
	"context"
	"time"

	"github.com/parley-im/parley/domain"
)

// queueRecord is the stored form of a queue. Fields are only ever added.
type queueRecord struct {
	Number    int64     `json:"id"`
	Account   string    `json:"account"`
	Name      string    `json:"name"`
	MaxWait   int64     `json:"max_wait_s,omitempty"`
	Priority  int       `json:"priority"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func newQueues(r *Registry) *directory[domain.Queue] {
	d := newDirectory(r, kindQueue,
		func(q *domain.Queue) entry { return entry{&q.Account, &q.Number, &q.CreatedAt, &q.UpdatedAt} },
		func(q domain.Queue) (queueRecord, error) { return queueRecord(q), nil },
		func(rec queueRecord) (domain.Queue, error) { return domain.Queue(rec), nil })
	d.fits = func(_ domain.Queue, others []domain.Queue) error {
		if len(others) >= domain.MaxQueues {
			return domain.Errorf(domain.CodeConflict, "an account has at most %d queues", domain.MaxQueues)
		}
		return nil
	}
	return d
}

// Queue finds a queue of an account.
func (r *Registry) Queue(account string, number int64) (domain.Queue, bool) {
	return r.queues.get(numbered{account, number})
}

// Queues lists the queues of an account by number.
func (r *Registry) Queues(account string) []domain.Queue { return r.queues.list(account) }

// CreateQueue makes a queue known under the number that it has. CodeConflict when
// that is taken or the account has domain.MaxQueues.
func (r *Registry) CreateQueue(ctx context.Context, q domain.Queue) (domain.Queue, error) {
	return r.queues.create(ctx, q)
}

// ChangeQueue changes a queue; CodeNotFound when there is none.
func (r *Registry) ChangeQueue(ctx context.Context, account string, number int64, change func(*domain.Queue) error) (domain.Queue, error) {
	return r.queues.change(ctx, account, number, change)
}

// DeleteQueue forgets a queue; CodeNotFound when there is none.
func (r *Registry) DeleteQueue(ctx context.Context, account string, number int64) error {
	return r.queues.delete(ctx, account, number)
}
