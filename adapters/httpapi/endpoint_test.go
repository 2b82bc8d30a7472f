package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// Ensure endpoints are listed in parts that join, with what is known of them, by
// state, and each to its own account only.
func TestEndpoints_listed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for range 4 {
		ids = append(ids, w.makeChannel(adminToken, "custom"))
	}
	foreign := w.makeChannel(otherToken, "custom")
	ids = append(ids, ids[0]+"#f1")
	slices.Sort(ids)
	w.set(func() {
		w.health = []domain.EndpointHealth{
			{Target: ids[1], Account: domain.DefaultAccount, FailingSince: w.now, FailedAt: w.now, Failures: 3, LastReason: domain.ReasonTimeout},
			{Target: ids[0], Account: domain.DefaultAccount, SucceededAt: w.now},
			{Target: foreign, Account: "other", Failures: 1},
			{Target: "deleted", Account: domain.DefaultAccount, Failures: 1},
		}
		w.endpoints = map[string]domain.Endpoint{
			ids[1]:    {Target: ids[1], Account: domain.DefaultAccount, State: domain.EndpointWarned, Reason: domain.EndpointFailing, Stage: 2},
			ids[2]:    {Target: ids[2], Account: domain.DefaultAccount, State: domain.EndpointPaused, Reason: domain.EndpointGone},
			ids[3]:    {Target: ids[3], Account: domain.DefaultAccount, State: domain.EndpointPaused, Reason: domain.EndpointAsked},
			ids[4]:    {Target: ids[4], Account: domain.DefaultAccount, State: domain.EndpointHealthy},
			foreign:   {Target: foreign, Account: "other", State: domain.EndpointPaused},
			"deleted": {Target: "deleted", Account: domain.DefaultAccount, State: domain.EndpointPaused},
		}
	})
	walk := func(token, query string) (got []string) {
		cursor := ""
		for range 10 {
			a := w.call(token, http.MethodGet, "/v1/endpoints?limit=2"+query+cursor, "").want(200)
			for i := 0; a.field("data", i, "id") != "<none>"; i++ {
				got = append(got, a.field("data", i, "id"))
			}
			next := a.field("next_cursor")
			if next == "<none>" {
				return got
			}
			cursor = "&cursor=" + strings.ReplaceAll(next, "#", "%23")
		}
		t.Errorf("the list %s has no end: %v", query, got)
		return got
	}
	for query, want := range map[string][]string{"": ids, "&state=paused": ids[2:4], "&state=warned": ids[1:2], "&state=healthy": {ids[0], ids[4]}} {
		if got := walk(readerToken, query); !slices.Equal(got, want) {
			t.Errorf("list %q: %v, want %v", query, got, want)
		}
	}
	if got := walk(otherToken, ""); !slices.Equal(got, []string{foreign}) {
		t.Errorf("another account sees %v", got)
	}
	w.call(readerToken, http.MethodGet, "/v1/endpoints?state=bored", "").want(400)
	w.call(readerToken, http.MethodGet, "/v1/endpoints?cursor=x", "").want(400)

	one := w.call(readerToken, http.MethodGet, "/v1/endpoints/"+ids[1], "").want(200)
	for field, want := range map[string]string{"state": "warned", "stage": "2", "failures": "3", "last_reason": "timeout", "failing_since": w.now.Format(time.RFC3339)} {
		if got := one.field(field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	w.call(readerToken, http.MethodGet, "/v1/endpoints/"+strings.ReplaceAll(ids[0]+"#none", "#", "%23"), "").want(404)
	w.call(readerToken, http.MethodGet, "/v1/endpoints/"+foreign, "").want(404)
	w.call(readerToken, http.MethodGet, "/v1/endpoints/deleted", "").want(404)
}

// Ensure only an admin of the account decides about an endpoint, decisions are
// told in the log, and a moved callback or a test call that succeeds resumes it.
func TestEndpoint_decided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.makeChannel(adminToken, "custom")
	path := "/v1/endpoints/" + id
	for token, status := range map[string]int{readerToken: 403, agentToken: 403, otherToken: 404} {
		w.call(token, http.MethodPost, path+"/pause", "").want(status)
		w.call(token, http.MethodPost, path+"/resume", "").want(status)
	}
	w.call(adminToken, http.MethodPost, path+"/resume", "").want(409)
	pause := func() {
		t.Helper()
		if a := w.call(adminToken, http.MethodPost, path+"/pause", "").want(200); a.field("state") != "paused" || a.field("reason") != "asked" || a.field("by") == "<none>" {
			t.Errorf("paused: %s", a.body)
		}
		if a := w.call(readerToken, http.MethodGet, "/v1/channels/"+id, "").want(200); !strings.Contains(a.field("warnings"), "paused") {
			t.Errorf("the channel does not warn: %s", a.body)
		}
	}
	is := func(state, reason string) {
		t.Helper()
		if a := w.call(readerToken, http.MethodGet, path, "").want(200); a.field("state") != state || a.field("reason") != reason {
			t.Errorf("want %s %s: %s", state, reason, a.body)
		}
	}
	pause()
	w.call(adminToken, http.MethodPost, path+"/pause", "").want(409)
	w.call(adminToken, http.MethodPost, path+"/resume", "").want(200)
	is("healthy", "asked")
	if a := w.call(readerToken, http.MethodGet, "/v1/channels/"+id, "").want(200); a.field("warnings") != "<none>" {
		t.Errorf("the channel still warns: %s", a.body)
	}
	pause()
	w.call(adminToken, http.MethodPatch, "/v1/channels/"+id, `{"name":"Other"}`).want(200)
	is("paused", "asked")
	w.call(adminToken, http.MethodPatch, "/v1/channels/"+id, `{"callback_url":"https://cb.example.com/y"}`).want(200)
	is("healthy", "callback_changed")
	pause()
	w.probe = func(domain.Channel) (domain.Outcome, error) {
		return domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonTimeout}, nil
	}
	w.call(adminToken, http.MethodPost, "/v1/channels/"+id+"/test", "").want(200)
	is("paused", "asked")
	w.probe = func(domain.Channel) (domain.Outcome, error) {
		return domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK}, nil
	}
	w.call(adminToken, http.MethodPost, "/v1/channels/"+id+"/test", "").want(200)
	is("healthy", "test_passed")

	w.set(func() {
		w.health = []domain.EndpointHealth{{Target: id + "#f1", Account: domain.DefaultAccount, Failures: 1}}
	})
	w.call(adminToken, http.MethodPost, path+"%23f1/pause", "").want(409)
}

// Ensure a subscription whose endpoint is paused is resumed by another URL, and by
// a test call that succeeds.
func TestEndpoint_ofSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(adminToken, http.MethodPost, "/v1/subscriptions", `{"name":"s","url":"https://cb.example.com/s","events":["message.received"]}`).want(201)
	id := made.field("id")
	path := "/v1/endpoints/" + domain.SubscriptionTarget(id)
	for reason, call := range map[string]func() answer{
		"callback_changed": func() answer {
			return w.call(adminToken, http.MethodPatch, "/v1/subscriptions/"+id, `{"url":"https://cb.example.com/t"}`)
		},
		"test_passed": func() answer { return w.call(adminToken, http.MethodPost, "/v1/subscriptions/"+id+"/test", "") },
	} {
		w.call(adminToken, http.MethodPost, path+"/pause", "").want(200)
		call().want(200)
		if a := w.call(readerToken, http.MethodGet, path, "").want(200); a.field("state") != "healthy" || a.field("reason") != reason {
			t.Errorf("want %s: %s", reason, a.body)
		}
	}
}
