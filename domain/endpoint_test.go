package domain_test

import (
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure that what is decided about an endpoint follows from how its attempts have
// gone, and that the same decision made on two nodes is one event.
func TestEndpoint_Judge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	policy := domain.DefaultEndpointPolicy()
	failing := func(since, last time.Duration) domain.EndpointHealth {
		return domain.EndpointHealth{Target: "c1", FailingSince: ago(since), FailedAt: ago(last), Failures: 9, LastReason: domain.ReasonTimeout}
	}
	healthy := domain.Endpoint{Target: "c1", Account: "acme", State: domain.EndpointHealthy}
	warned := healthy
	warned.State, warned.Stage, warned.FailingSince, warned.ChangedAt = domain.EndpointWarned, 1, ago(7*time.Hour), ago(5*time.Hour)
	paused := warned
	paused.State, paused.Reason, paused.ChangedAt = domain.EndpointPaused, domain.EndpointFailing, ago(time.Hour)
	asked := paused
	asked.Reason = domain.EndpointAsked
	resumed := healthy
	resumed.SettledAt = ago(time.Hour)
	function := healthy
	function.Target = "c1#7"
	succeeded := domain.EndpointHealth{Target: "c1", SucceededAt: ago(time.Minute)}
	gone := domain.EndpointHealth{Target: "c1", GoneAt: ago(2 * time.Minute)}

	for what, c := range map[string]struct {
		endpoint domain.Endpoint
		health   domain.EndpointHealth
		state    domain.EndpointState // "" = nothing is decided
		event    string
	}{
		"one failure long ago":                {healthy, failing(100*time.Hour, 100*time.Hour), "", ""},
		"not long enough":                     {healthy, failing(59*time.Minute, 0), "", ""},
		"an hour":                             {healthy, failing(time.Hour, 0), domain.EndpointWarned, "endpoint.warned.v1"},
		"the stage was told of":               {warned, failing(5*time.Hour, 0), "", ""},
		"the next stage":                      {warned, failing(7*time.Hour, 0), domain.EndpointWarned, "endpoint.warned.v1"},
		"three days":                          {warned, failing(72*time.Hour, 0), domain.EndpointPaused, "endpoint.paused.v1"},
		"three days at once":                  {healthy, failing(72*time.Hour, 0), domain.EndpointPaused, "endpoint.paused.v1"},
		"a function is warned of only":        {function, failing(72*time.Hour, 0), domain.EndpointWarned, "endpoint.warned.v1"},
		"a function that is gone":             {function, gone, "", ""},
		"gone":                                {healthy, gone, domain.EndpointPaused, "endpoint.paused.v1"},
		"gone before it was resumed":          {resumed, domain.EndpointHealth{GoneAt: ago(2 * time.Hour)}, "", ""},
		"failing since before it was resumed": {resumed, failing(100*time.Hour, 30*time.Minute), "", ""},
		"failing for long after it was":       {resumed, failing(100*time.Hour, 0), domain.EndpointWarned, "endpoint.warned.v1"},
		"a success after it was resumed":      {resumed, succeeded, domain.EndpointHealthy, ""},
		"a success after a warning":           {warned, succeeded, domain.EndpointHealthy, "endpoint.resumed.v1"},
		"a call in flight succeeds":           {paused, succeeded, domain.EndpointHealthy, "endpoint.resumed.v1"},
		"somebody wanted the pause":           {asked, succeeded, "", ""},
		"paused, and failing on":              {paused, failing(100*time.Hour, 0), "", ""},
		"a success before the failures began": {warned, domain.EndpointHealth{SucceededAt: ago(8 * time.Hour), FailingSince: ago(7 * time.Hour), FailedAt: ago(5 * time.Hour)}, "", ""},
		"nothing known":                       {healthy, domain.EndpointHealth{}, "", ""},
	} {
		next, event, ok := c.endpoint.Judge(c.health, policy, now)
		again, same, _ := c.endpoint.Judge(c.health, policy, now.Add(3*time.Second))
		switch {
		case ok != (c.state != ""):
			t.Errorf("%s: decided is %v: %+v", what, ok, next)
		case ok && (next.State != c.state || event.Type() != c.event || again.State != next.State):
			t.Errorf("%s: %s with %q", what, next.State, event.Type())
		case event.ID != same.ID:
			t.Errorf("%s: two nodes tell of it under two ids", what)
		case event.Data != nil && event.Stream() != "c1/endpoint":
			t.Errorf("%s: the event is of stream %s", what, event.Stream())
		}
	}
	if _, _, ok := healthy.Judge(failing(1000*time.Hour, 0), domain.EndpointPolicy{}, now); ok {
		t.Error("without any stage something is decided")
	}
}

// Ensure that people can pause and resume, each once.
func TestEndpoint_PauseAndResume(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	e := domain.Endpoint{Target: "c1", Account: "acme", State: domain.EndpointHealthy}
	if _, _, err := e.Resume(domain.EndpointAsked, "desk", now); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("a healthy endpoint was resumed: %v", err)
	}
	paused, event, err := e.Pause(domain.EndpointHealth{}, "desk", now)
	if err != nil || paused.State != domain.EndpointPaused || paused.By != "desk" || event.Type() != "endpoint.paused.v1" {
		t.Errorf("paused is %+v by %s, %v", paused, event.Type(), err)
	}
	if _, _, err := paused.Pause(domain.EndpointHealth{}, "desk", now); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("it was paused twice: %v", err)
	}
	resumed, event, err := paused.Resume(domain.EndpointTested, "desk", now)
	if err != nil || resumed.State != domain.EndpointHealthy || !resumed.SettledAt.Equal(now) || event.Type() != "endpoint.resumed.v1" {
		t.Errorf("resumed is %+v by %s, %v", resumed, event.Type(), err)
	}
	if _, _, err := (domain.Endpoint{Target: "c1#7"}).Pause(domain.EndpointHealth{}, "desk", now); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("a function was paused: %v", err)
	}
}
