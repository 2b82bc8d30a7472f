package httpapi

import (
	"context"
	"testing"

	"github.com/parley-im/parley/domain"
)

// Endpoint implements endpoints.
func (w *world) Endpoint(target string) (domain.Endpoint, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, ok := w.endpoints[target]
	return e, ok
}

// Endpoints implements endpoints.
func (w *world) Endpoints(account string) []domain.Endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.Endpoint
	for _, e := range w.endpoints {
		if e.Account == account {
			list = append(list, e)
		}
	}
	return list
}

// ChangeEndpoint implements endpoints.
func (w *world) ChangeEndpoint(_ context.Context, account, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	e, ok := w.Endpoint(target)
	if !ok {
		e = domain.Endpoint{Target: target, Account: account, State: domain.EndpointHealthy}
	}
	if err := change(&e); err != nil {
		return e, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.endpoints == nil {
		w.endpoints = map[string]domain.Endpoint{}
	}
	w.endpoints[target] = e
	return e, nil
}

// Ensure that endpointWarning says since when and why, and that only what shows the
// endpoint well or moved resumes it.
func TestEndpoint_Forgiven(t *testing.T) {
	t.Parallel()
	for _, reason := range []domain.EndpointReason{domain.EndpointMoved, domain.EndpointTested} {
		e := domain.Endpoint{Target: "c1", Account: "default", State: domain.EndpointPaused, Reason: domain.EndpointGone}
		next, event, err := e.Resume(reason, "admin", e.ChangedAt)
		if err != nil || next.State != domain.EndpointHealthy || event.Type() != "endpoint.resumed.v1" {
			t.Errorf("%s: %+v, %v", reason, next, err)
		}
		if endpointWarning(e) == "" {
			t.Error("a paused endpoint warns of nothing")
		}
	}
}
