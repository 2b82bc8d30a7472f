package eventstore

import (
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// topicSetRecord is the stored form of a topic set. Fields are only ever added.
type topicSetRecord struct {
	Number    int64          `json:"id"`
	Account   string         `json:"account"`
	Name      string         `json:"name"`
	Topics    []domain.Topic `json:"topics"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

func newTopicSets(r *Registry) *directory[domain.TopicSet] {
	d := newDirectory(r, kindTopicSet,
		func(s *domain.TopicSet) entry { return entry{&s.Account, &s.Number, &s.CreatedAt, &s.UpdatedAt} },
		func(s domain.TopicSet) (topicSetRecord, error) { return topicSetRecord(s), nil },
		func(rec topicSetRecord) (domain.TopicSet, error) { return domain.TopicSet(rec), nil })
	d.own = func(s *domain.TopicSet) { s.Topics = slices.Clone(s.Topics) }
	return d
}

// TopicSet finds a topic set of an account. Its topics are not to be written into.
func (r *Registry) TopicSet(account string, number int64) (domain.TopicSet, bool) {
	return r.topicSets.get(numbered{account, number})
}

// TopicSets lists the topic sets of an account by number.
func (r *Registry) TopicSets(account string) []domain.TopicSet { return r.topicSets.list(account) }

// CreateTopicSet makes a topic set known under the number that it has;
// CodeConflict when that is taken.
func (r *Registry) CreateTopicSet(ctx context.Context, s domain.TopicSet) (domain.TopicSet, error) {
	return r.topicSets.create(ctx, s)
}

// ChangeTopicSet changes a topic set; CodeNotFound when there is none.
func (r *Registry) ChangeTopicSet(
	ctx context.Context, account string, number int64, change func(*domain.TopicSet) error,
) (domain.TopicSet, error) {
	return r.topicSets.change(ctx, account, number, change)
}

// DeleteTopicSet forgets a topic set; CodeNotFound when there is none.
func (r *Registry) DeleteTopicSet(ctx context.Context, account string, number int64) error {
	return r.topicSets.delete(ctx, account, number)
}
