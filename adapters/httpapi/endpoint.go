package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagEndpoints = "Endpoints"

// endpointView is an endpoint as the API shows it.
type endpointView struct {
	ID            string                `json:"id" doc:"The target of deliveries: a channel, sub~<subscription>, hook~<account>~<number> for a webhook of channelx, or <channel>#<function>."`
	State         domain.EndpointState  `json:"state" enum:"healthy,warned,paused" doc:"To a paused one nothing is sent; what is for it waits."`
	Reason        domain.EndpointReason `json:"reason,omitempty" enum:"failing,gone,asked,callback_changed,test_passed,recovered" doc:"Of the state."`
	Stage         int                   `json:"stage,omitempty" doc:"The last warning, from 1."`
	By            string                `json:"by,omitempty" doc:"The platform token that asked."`
	ChangedAt     *time.Time            `json:"changed_at,omitempty" doc:"When the state was decided."`
	FailingSince  *time.Time            `json:"failing_since,omitempty" doc:"All attempts since then have failed."`
	Failures      int64                 `json:"failures" doc:"Attempts that have failed since the last success."`
	LastFailureAt *time.Time            `json:"last_failure_at,omitempty"`
	LastReason    domain.Reason         `json:"last_reason,omitempty" doc:"Of the last failure."`
	LastSuccessAt *time.Time            `json:"last_success_at,omitempty"`
}

func showEndpoint(e domain.Endpoint, h domain.EndpointHealth) endpointView {
	return endpointView{
		ID: e.Target, State: e.State, Reason: e.Reason, Stage: e.Stage, By: e.By, ChangedAt: given(e.ChangedAt),
		FailingSince: given(h.FailingSince), Failures: h.Failures, LastFailureAt: given(h.FailedAt), LastReason: h.LastReason,
		LastSuccessAt: given(h.SucceededAt),
	}
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// endpointWarning tells people of an endpoint that is not well.
func endpointWarning(e domain.Endpoint) string {
	if e.State == domain.EndpointPaused {
		return fmt.Sprintf("callback paused (%s) since %s: what is for it waits; resume it when it is well", e.Reason, e.ChangedAt.UTC().Format(time.RFC3339))
	}
	return "no call to the callback has succeeded since " + e.FailingSince.UTC().Format(time.RFC3339)
}

// EndpointPath names an endpoint.
type EndpointPath struct {
	ID string `path:"id" maxLength:"200" doc:"The endpoint's id; the # of a function is written %23." example:"620418000017"`
}

func (p *platform) endpointRoutes() {
	handle(p, operation{
		id: "list-endpoints", method: http.MethodGet, path: "/v1/endpoints", tag: tagEndpoints, need: domain.RoleReader,
		summary: "List endpoints", description: "What deliveries go to, by id, and how their attempts have gone.",
	}, p.listEndpoints)
	handle(p, operation{
		id: "get-endpoint", method: http.MethodGet, path: "/v1/endpoints/{id}", tag: tagEndpoints, need: domain.RoleReader,
		summary: "Read an endpoint",
	}, p.getEndpoint)
	handle(p, operation{
		id: "pause-endpoint", method: http.MethodPost, path: "/v1/endpoints/{id}/pause", tag: tagEndpoints, need: domain.RoleAdmin,
		summary: "Stop calling an endpoint", description: "What is for it waits. 409 when it is paused, or a function.",
	}, p.pauseEndpoint)
	handle(p, operation{
		id: "resume-endpoint", method: http.MethodPost, path: "/v1/endpoints/{id}/resume", tag: tagEndpoints, need: domain.RoleAdmin,
		summary: "Call an endpoint again", description: "What waits for it goes on within a second; failures are counted anew. 409 when it is healthy.",
	}, p.resumeEndpoint)
}

// endpointsOf gives what is known of the endpoints of an account, by id: of all of
// them, or of one. What was attempted at one whose channel, subscription or webhook
// is no more stays with its deliveries; it is no endpoint.
func (p *platform) endpointsOf(ctx context.Context, c caller, one string) ([]endpointView, error) {
	found, owners := map[string]domain.Endpoint{}, map[string]bool{}
	add := func(target string) {
		if owners[domain.ChannelOf(target)] && (one == "" || target == one) {
			found[target] = domain.Endpoint{Target: target, Account: c.Account, State: domain.EndpointHealthy}
		}
	}
	for _, ch := range p.Channels.Channels(c.Account) {
		owners[ch.ID] = true
		add(ch.ID)
	}
	for _, s := range p.Directory.Subscriptions(c.Account) {
		target := domain.SubscriptionTarget(s.ID)
		owners[target] = true
		add(target)
	}
	for _, w := range p.Directory.Webhooks(c.Account) {
		target := domain.WebhookTarget(w.Account, w.Number)
		owners[target] = true
		add(target)
	}
	var targets []string
	if one != "" {
		targets = []string{one}
	}
	list, err := p.Deliveries.EndpointHealth(ctx, c.Account, targets)
	if err != nil {
		return nil, err
	}
	health := map[string]domain.EndpointHealth{}
	for _, h := range list {
		health[h.Target] = h
		add(h.Target)
	}
	for _, e := range p.Directory.Endpoints(c.Account) {
		if add(e.Target); found[e.Target].Target != "" {
			found[e.Target] = e
		}
	}
	views := make([]endpointView, 0, len(found))
	for target, e := range found {
		views = append(views, showEndpoint(e, health[target]))
	}
	slices.SortFunc(views, func(a, b endpointView) int { return cmp.Compare(a.ID, b.ID) })
	return views, nil
}

func (p *platform) listEndpoints(ctx context.Context, c caller, in *struct {
	PageParams
	State string `query:"state" enum:"healthy,warned,paused" doc:"Only endpoints in this state."`
},
) (*shownOutput[list[endpointView]], error) {
	all, err := p.endpointsOf(ctx, c, "")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(v endpointView) bool { return in.State != "" && string(v.State) != in.State })
	part, next, err := cut(all, in.page(), func(v endpointView) string { return ageKey(time.UnixMilli(0), v.ID) })
	if err != nil {
		return nil, err
	}
	return &shownOutput[list[endpointView]]{listOf(part, next, func(v endpointView) endpointView { return v })}, nil
}

// endpointOf gives one endpoint of the caller's account.
func (p *platform) endpointOf(ctx context.Context, c caller, id string) (endpointView, error) {
	found, err := p.endpointsOf(ctx, c, id)
	if err != nil {
		return endpointView{}, err
	}
	if len(found) == 0 {
		return endpointView{}, notFound("endpoint", id)
	}
	return found[0], nil
}

func (p *platform) getEndpoint(ctx context.Context, c caller, in *EndpointPath) (*shownOutput[endpointView], error) {
	v, err := p.endpointOf(ctx, c, in.ID)
	return &shownOutput[endpointView]{v}, err
}

func (p *platform) pauseEndpoint(ctx context.Context, c caller, in *struct {
	EndpointPath
	KeyParam
},
) (*shownOutput[endpointView], error) {
	return p.decideEndpoint(ctx, c, in.ID, func(e domain.Endpoint) (domain.Endpoint, domain.Event, error) {
		return e.Pause(domain.EndpointHealth{}, c.Name, p.Now())
	})
}

func (p *platform) resumeEndpoint(ctx context.Context, c caller, in *struct {
	EndpointPath
	KeyParam
},
) (*shownOutput[endpointView], error) {
	return p.decideEndpoint(ctx, c, in.ID, func(e domain.Endpoint) (domain.Endpoint, domain.Event, error) {
		return e.Resume(domain.EndpointAsked, c.Name, p.Now())
	})
}

func (p *platform) decideEndpoint(
	ctx context.Context, c caller, id string, decide func(domain.Endpoint) (domain.Endpoint, domain.Event, error),
) (*shownOutput[endpointView], error) {
	v, err := p.endpointOf(ctx, c, id)
	if err != nil {
		return nil, err
	}
	e, err := p.changeEndpoint(ctx, c, v.ID, decide)
	if err != nil {
		return nil, err
	}
	now := showEndpoint(e, domain.EndpointHealth{})
	now.FailingSince, now.Failures, now.LastFailureAt, now.LastReason, now.LastSuccessAt = v.FailingSince, v.Failures, v.LastFailureAt, v.LastReason, v.LastSuccessAt
	return &shownOutput[endpointView]{now}, nil
}

// changeEndpoint appends a decision and then keeps it: if the process dies between
// the two, the request was not answered, and its repeat makes the decision again.
func (p *platform) changeEndpoint(
	ctx context.Context, c caller, target string, decide func(domain.Endpoint) (domain.Endpoint, domain.Event, error),
) (domain.Endpoint, error) {
	return p.Directory.ChangeEndpoint(ctx, c.Account, target, func(e *domain.Endpoint) error {
		next, event, err := decide(*e)
		if err != nil {
			return err
		}
		if _, err := p.Log.Append(ctx, event); err != nil {
			return err
		}
		*e = next
		return nil
	})
}

// forgive resumes an endpoint that has shown that it is well, or has moved. What it
// follows from has been done, so a failure is logged only.
func (p *platform) forgive(ctx context.Context, c caller, target string, reason domain.EndpointReason) {
	if e, ok := p.Directory.Endpoint(target); !ok || e.State == domain.EndpointHealthy {
		return
	}
	_, err := p.changeEndpoint(ctx, c, target, func(e domain.Endpoint) (domain.Endpoint, domain.Event, error) {
		return e.Resume(reason, c.Name, p.Now())
	})
	if err != nil && domain.CodeOf(err) != domain.CodeConflict {
		p.log.Warn("api.endpoint_unresumed", "target", target, "error", err)
	}
}
