package eventstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// endpointRecord is the stored form of what was decided about an endpoint. Fields
// are only ever added.
type endpointRecord struct {
	Target       string                `json:"target"`
	Account      string                `json:"account"`
	State        domain.EndpointState  `json:"state"`
	Reason       domain.EndpointReason `json:"reason"`
	Stage        int                   `json:"stage,omitempty"`
	FailingSince time.Time             `json:"failing_since,omitzero"`
	SettledAt    time.Time             `json:"settled_at,omitzero"`
	By           string                `json:"by,omitempty"`
	ChangedAt    time.Time             `json:"changed_at"`
}

func newEndpoints(r *Registry) *shelf[plain, domain.Endpoint] {
	s := &shelf[plain, domain.Endpoint]{
		kind: kindEndpoint, parse: parsePlain,
		key:   func(e domain.Endpoint) plain { return plain(e.Target) },
		group: func(e domain.Endpoint) string { return e.Account },
	}
	s.encode, s.decode = stored(
		func(e domain.Endpoint) (endpointRecord, error) { return endpointRecord(e), nil },
		func(rec endpointRecord) (domain.Endpoint, error) { return domain.Endpoint(rec), nil })
	s.keep(r)
	return s
}

// Endpoint finds what was decided about a target; false when nothing was.
func (r *Registry) Endpoint(target string) (domain.Endpoint, bool) {
	return r.endpoints.get(plain(target))
}

// Endpoints lists what was decided about targets of an account, by target; of all
// accounts when account is "".
func (r *Registry) Endpoints(account string) []domain.Endpoint {
	list := r.endpoints.of(account)
	if account == "" {
		r.mu.RLock()
		for _, e := range r.endpoints.known {
			list = append(list, *e)
		}
		r.mu.RUnlock()
	}
	slices.SortFunc(list, func(a, b domain.Endpoint) int { return cmp.Compare(a.Target, b.Target) })
	return list
}

// endEndpoint forgets what was decided about a target that is no more, and about
// the functions of one that was a channel. If the process dies before, the record
// stays and nobody is shown it: what has no owner is no endpoint.
func (r *Registry) endEndpoint(ctx context.Context, account, target string) error {
	for _, e := range r.endpoints.of(account) {
		if domain.ChannelOf(e.Target) != target {
			continue
		}
		if err := r.endpoints.drop(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// ChangeEndpoint decides about a target. Nobody else does so on this node while
// change runs; an error of it is passed through and changes nothing. A target
// without a record comes to it as healthy. A record that says nothing any more
// goes.
func (r *Registry) ChangeEndpoint(ctx context.Context, account, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Endpoint{}, err
	}
	defer r.end()
	e, there := r.Endpoint(target)
	if !there {
		e = domain.Endpoint{Target: target, Account: account, State: domain.EndpointHealthy}
	}
	if e.Account != account {
		return domain.Endpoint{}, r.endpoints.missing(plain(target))
	}
	if err := change(&e); err != nil {
		return domain.Endpoint{}, err
	}
	if e.State == domain.EndpointHealthy && e.SettledAt.IsZero() {
		if !there {
			return e, nil
		}
		return e, r.endpoints.drop(ctx, e)
	}
	return e, r.endpoints.put(ctx, e)
}
