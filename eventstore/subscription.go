package eventstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// subscriptionRecord is the stored form of a subscription. Fields are only ever
// added. That of a deleted one stays without secrets: which deliveries there were
// follows from it.
type subscriptionRecord struct {
	ID        string                `json:"id"`
	Account   string                `json:"account"`
	Name      string                `json:"name,omitempty"`
	URL       string                `json:"url"`
	Delivery  domain.DeliveryPolicy `json:"delivery"`
	Secret    string                `json:"secret_sealed,omitempty"`
	Former    string                `json:"former_secrets_sealed,omitempty"` // a list of secret and until
	Revisions []domain.Revision     `json:"revisions"`
	CreatedAt time.Time             `json:"created_at"`
	UpdatedAt time.Time             `json:"updated_at"`
	DeletedAt *time.Time            `json:"deleted_at,omitempty"`
}

func newSubscriptions(r *Registry) *shelf[owned, domain.Subscription] {
	s := &shelf[owned, domain.Subscription]{
		kind: kindSubscription, parse: parseOwned,
		key:   func(s domain.Subscription) owned { return owned{s.Account, s.ID} },
		group: func(s domain.Subscription) string { return s.Account },
		turned: func(old, now *domain.Subscription) {
			if old != nil && r.subscriptionByID[old.ID] == old {
				delete(r.subscriptionByID, old.ID)
			}
			if now != nil {
				r.subscriptionByID[now.ID] = now
			}
		},
	}
	s.encode, s.decode = stored(r.storeSubscription, r.restoreSubscription)
	s.keep(r)
	return s
}

// subscriptionOwner names a sealed field of a subscription's record.
func subscriptionOwner(account, id, field string) string {
	return kindSubscription + "/" + owned{account, id}.String() + "/" + field
}

func (r *Registry) storeSubscription(s domain.Subscription) (subscriptionRecord, error) {
	rec := subscriptionRecord{
		ID: s.ID, Account: s.Account, Name: s.Name, URL: s.URL, Delivery: s.Delivery, Revisions: s.Revisions,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, DeletedAt: s.DeletedAt,
	}
	if s.Secret == "" {
		return rec, nil
	}
	var err error
	if rec.Secret, err = r.seal(subscriptionOwner(s.Account, s.ID, "secret"), s.Secret); err != nil || len(s.Former) == 0 {
		return rec, err
	}
	former, err := json.Marshal(s.Former)
	if err != nil {
		return rec, fmt.Errorf("encode former secrets: %w", err)
	}
	rec.Former, err = r.seal(subscriptionOwner(s.Account, s.ID, "former_secrets"), string(former))
	return rec, err
}

func (r *Registry) restoreSubscription(rec subscriptionRecord) (domain.Subscription, error) {
	s := domain.Subscription{
		ID: rec.ID, Account: rec.Account, Name: rec.Name, URL: rec.URL, Delivery: rec.Delivery, Revisions: rec.Revisions,
		CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt, DeletedAt: rec.DeletedAt,
	}
	if len(s.Revisions) == 0 {
		return s, errors.New("it has no revision")
	}
	if rec.Secret == "" {
		return s, nil
	}
	var err error
	if s.Secret, err = r.unseal(subscriptionOwner(rec.Account, rec.ID, "secret"), rec.Secret); err != nil || rec.Former == "" {
		return s, err
	}
	former, err := r.unseal(subscriptionOwner(rec.Account, rec.ID, "former_secrets"), rec.Former)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(former), &s.Former); err != nil {
		return s, fmt.Errorf("read former secrets: %w", err)
	}
	return s, nil
}

// Subscription finds a subscription of an account, deleted or not.
func (r *Registry) Subscription(account, id string) (domain.Subscription, bool) {
	return r.subscriptions.get(owned{account, id})
}

// SubscriptionByID finds a subscription of whatever account, deleted or not: ids
// are random, so no two accounts have one of the same.
func (r *Registry) SubscriptionByID(id string) (domain.Subscription, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s := r.subscriptionByID[id]; s != nil {
		return *s, true
	}
	return domain.Subscription{}, false
}

// Subscriptions lists the subscriptions of an account that are not deleted,
// oldest first.
func (r *Registry) Subscriptions(account string) []domain.Subscription {
	list := slices.DeleteFunc(r.subscriptions.of(account), domain.Subscription.Deleted)
	slices.SortFunc(list, func(a, b domain.Subscription) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Subscribers names the subscriptions that want an event, sorted. Each node gives
// the same answer, whenever it is asked: a change counts from a moment when all
// nodes have it.
func (r *Registry) Subscribers(e domain.Event) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	group := r.subscriptions.groups[e.Account]
	if len(group) == 0 {
		return nil
	}
	var ids []string
	for _, s := range group {
		if s.Wants(e) {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// CreateSubscription makes a subscription known. CodeConflict when its id is
// taken, or when the account has as many as it may.
func (r *Registry) CreateSubscription(ctx context.Context, s domain.Subscription) (domain.Subscription, error) {
	var none domain.Subscription
	if err := r.begin(ctx); err != nil {
		return none, err
	}
	defer r.end()
	if s.ID == "" || s.Account == "" || strings.Contains(s.ID+s.Account, "/") {
		return none, domain.Invalid("id", "of the subscription and of its account are required")
	}
	k := owned{s.Account, s.ID}
	if _, taken := r.subscriptions.get(k); taken {
		return none, r.subscriptions.taken(k)
	}
	if len(r.Subscriptions(s.Account)) >= domain.MostSubscriptions {
		return none, domain.Errorf(domain.CodeConflict, "an account has at most %d subscriptions", domain.MostSubscriptions)
	}
	now := domain.Stamp(r.now())
	s.CreatedAt, s.UpdatedAt, s.DeletedAt = now, now, nil
	return r.placeSubscription(ctx, s)
}

// ChangeSubscription changes a subscription; CodeNotFound when there is none. The
// key and the time of creation stay whatever change does.
func (r *Registry) ChangeSubscription(
	ctx context.Context, account, id string, change func(*domain.Subscription) error,
) (domain.Subscription, error) {
	var none domain.Subscription
	if err := r.begin(ctx); err != nil {
		return none, err
	}
	defer r.end()
	k := owned{account, id}
	s, ok := r.subscriptions.get(k)
	if !ok || s.Deleted() {
		return none, r.subscriptions.missing(k)
	}
	createdAt := s.CreatedAt
	s.Former, s.Revisions = slices.Clone(s.Former), slices.Clone(s.Revisions)
	if err := change(&s); err != nil {
		return none, err
	}
	s.ID, s.Account, s.CreatedAt, s.UpdatedAt, s.DeletedAt = id, account, createdAt, domain.Stamp(r.now()), nil
	return r.placeSubscription(ctx, s)
}

// DeleteSubscription ends a subscription; CodeNotFound when there is none. Its
// history stays.
func (r *Registry) DeleteSubscription(ctx context.Context, account, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	k := owned{account, id}
	s, ok := r.subscriptions.get(k)
	if !ok || s.Deleted() {
		return r.subscriptions.missing(k)
	}
	now := domain.Stamp(r.now())
	if err := s.Revise(domain.Revision{Off: true}, now); err != nil {
		return err
	}
	s.Secret, s.Former, s.UpdatedAt, s.DeletedAt = "", nil, now, &now
	if err := r.subscriptions.put(ctx, s); err != nil {
		return err
	}
	return r.endEndpoint(ctx, account, domain.SubscriptionTarget(id))
}

// placeSubscription makes a subscription known if it is one that a person may
// enter.
func (r *Registry) placeSubscription(ctx context.Context, s domain.Subscription) (domain.Subscription, error) {
	var none domain.Subscription
	if len(s.Revisions) == 0 {
		return none, domain.Invalid("events", "of the subscription are not told")
	}
	if err := s.Validate(); err != nil {
		return none, err
	}
	if err := r.subscriptions.put(ctx, s); err != nil {
		return none, err
	}
	return s, nil
}
