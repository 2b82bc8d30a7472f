package domain

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// MayWait tells whether what goes to a target may be held back while its endpoint
// is not well. The calls of a function may not: the contact waits for the answer,
// and when there is none somebody else takes over.
func MayWait(target string) bool { return !strings.Contains(target, "#") }

// EndpointState is what was decided about an endpoint.
type EndpointState string

// The states.
const (
	EndpointHealthy EndpointState = "healthy" // nothing was
	EndpointWarned  EndpointState = "warned"  // it is called; nothing has succeeded for long
	EndpointPaused  EndpointState = "paused"  // it is not called; what is for it waits
)

// EndpointStates is the closed set.
var EndpointStates = []EndpointState{EndpointHealthy, EndpointWarned, EndpointPaused}

// EndpointReason is why that was decided.
type EndpointReason string

// The reasons.
const (
	EndpointFailing   EndpointReason = "failing"          // all attempts have failed for too long
	EndpointGone      EndpointReason = "gone"             // it answered 410
	EndpointAsked     EndpointReason = "asked"            // somebody wanted it
	EndpointMoved     EndpointReason = "callback_changed" // it has another address
	EndpointTested    EndpointReason = "test_passed"      // a test call succeeded
	EndpointRecovered EndpointReason = "recovered"        // an attempt succeeded
)

// endpointRef stands in events of endpoints where others name the contact.
const endpointRef = "endpoint"

// Endpoint is what was decided about a target (Delivery.Target). One of which
// nothing is known is healthy.
type Endpoint struct {
	Target       string
	Account      string
	State        EndpointState
	Reason       EndpointReason // of the state, "" when it was always healthy
	Stage        int            // the last warning, from 1; 0 = none
	FailingSince time.Time      // as of the decision; zero when that was not about failures
	SettledAt    time.Time      // what came before does not count any more: it was resumed then
	By           string         // who asked
	ChangedAt    time.Time
}

// EndpointHealth is how the attempts at a target have gone. Times are zero where
// there was no such thing.
type EndpointHealth struct {
	Target       string
	Account      string
	FailingSince time.Time // first failure after the last success
	FailedAt     time.Time // last failure
	SucceededAt  time.Time // last success
	GoneAt       time.Time // last answer 410, unless there was a success after it
	Failures     int64     // since the last success
	LastReason   Reason    // of the last failure
}

// after leaves out what came before a time.
func (h EndpointHealth) after(at time.Time) EndpointHealth {
	if !h.GoneAt.After(at) {
		h.GoneAt = time.Time{}
	}
	switch {
	case h.FailingSince.IsZero() || !h.FailedAt.After(at):
		h.FailingSince, h.Failures = time.Time{}, 0
	case h.FailingSince.Before(at):
		h.FailingSince = at
	}
	return h
}

// failingFor is the time over which attempts were made and all failed: a single
// failure is over in no time, however long ago it was.
func (h EndpointHealth) failingFor() time.Duration {
	if h.FailingSince.IsZero() {
		return 0
	}
	return h.FailedAt.Sub(h.FailingSince)
}

// EndpointPolicy says when an endpoint is given up by stages.
type EndpointPolicy struct {
	Warnings   []time.Duration // ascending: after so long without a success
	PauseAfter time.Duration   // the same for the pause; 0 = never
}

// DefaultEndpointPolicy is that of an installation that sets none.
func DefaultEndpointPolicy() EndpointPolicy {
	return EndpointPolicy{Warnings: []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}, PauseAfter: 72 * time.Hour}
}

// Least is the shortest time after which anything is decided, 0 when nothing ever is.
func (p EndpointPolicy) Least() time.Duration {
	all := slices.Clone(p.Warnings)
	if p.PauseAfter > 0 {
		all = append(all, p.PauseAfter)
	}
	if len(all) == 0 {
		return 0
	}
	return slices.Min(all)
}

// stage counts the warnings that are due.
func (p EndpointPolicy) stage(failing time.Duration) int {
	n := 0
	for _, after := range p.Warnings {
		if failing >= after {
			n++
		}
	}
	return n
}

// EndpointWarning tells that nothing has succeeded at an endpoint for long.
type EndpointWarning struct {
	Target       string    `json:"target"`
	Stage        int       `json:"stage"` // from 1
	FailingSince time.Time `json:"failing_since"`
	FailedAt     time.Time `json:"failed_at"` // the last of them
	Failures     int64     `json:"failures"`  // attempts since then
	LastReason   Reason    `json:"last_reason"`
}

// EndpointStopped tells that an endpoint is not called any more.
type EndpointStopped struct {
	Target       string         `json:"target"`
	Reason       EndpointReason `json:"reason"` // failing, gone or asked
	FailingSince *time.Time     `json:"failing_since,omitempty"`
	LastReason   Reason         `json:"last_reason,omitempty"`
	By           string         `json:"by,omitempty"`
}

// EndpointResumed tells that an endpoint is called again, or that one of which
// was warned is well again.
type EndpointResumed struct {
	Target string         `json:"target"`
	Reason EndpointReason `json:"reason"` // asked, callback_changed, test_passed or recovered
	Was    EndpointState  `json:"was"`    // warned or paused
	By     string         `json:"by,omitempty"`
}

func (EndpointWarning) data() {}
func (EndpointStopped) data() {}
func (EndpointResumed) data() {}

// event starts an event of the endpoint. Words name the decision: made twice, it
// is one.
func (e Endpoint) event(data Data, now time.Time, words ...string) Event {
	return Event{
		ID:      DeriveID("endpoint", append([]string{e.Target}, words...)...),
		Account: e.Account, Channel: ChannelOf(e.Target), ContactRef: endpointRef, Time: Stamp(now), Data: data,
	}
}

// Judge decides about an endpoint by how its attempts have gone. ok is false when
// there is nothing to be decided; an event without data comes with a decision that
// nobody needs to be told of.
func (e Endpoint) Judge(h EndpointHealth, p EndpointPolicy, now time.Time) (next Endpoint, event Event, ok bool) {
	h = h.after(e.SettledAt)
	failing := h.failingFor()
	mayPause := MayWait(e.Target)
	switch {
	case e.State == EndpointPaused && (e.Reason == EndpointAsked || !h.SucceededAt.After(e.ChangedAt)):
		return e, Event{}, false
	case e.State == EndpointPaused, e.State == EndpointWarned && h.SucceededAt.After(e.FailingSince):
		next, event = e.resumed(EndpointRecovered, "", now)
		next.SettledAt = time.Time{} // failures count from the last success anyway
		return next, event, true
	case e.State == EndpointHealthy && !e.SettledAt.IsZero() && h.SucceededAt.After(e.SettledAt):
		return Endpoint{Target: e.Target, Account: e.Account, State: EndpointHealthy, ChangedAt: Stamp(now)}, Event{}, true
	case mayPause && !h.GoneAt.IsZero():
		next, event = e.paused(EndpointGone, h, "", now, h.GoneAt)
		return next, event, true
	case mayPause && p.PauseAfter > 0 && failing >= p.PauseAfter:
		next, event = e.paused(EndpointFailing, h, "", now, h.FailingSince)
		return next, event, true
	}
	if stage := p.stage(failing); stage > e.Stage {
		next = e
		next.State, next.Reason, next.Stage, next.FailingSince, next.By, next.ChangedAt = EndpointWarned, EndpointFailing, stage, h.FailingSince, "", Stamp(now)
		return next, e.event(EndpointWarning{
			Target: e.Target, Stage: stage, FailingSince: h.FailingSince, FailedAt: h.FailedAt, Failures: h.Failures, LastReason: h.LastReason,
		}, now, "warned", strconv.Itoa(stage), h.FailingSince.UTC().Format(time.RFC3339Nano)), true
	}
	return e, Event{}, false
}

// paused is the pause for a reason; since tells one such reason from the next.
func (e Endpoint) paused(reason EndpointReason, h EndpointHealth, by string, now, since time.Time) (Endpoint, Event) {
	data := EndpointStopped{Target: e.Target, Reason: reason, By: by}
	e.FailingSince = time.Time{}
	if !h.FailingSince.IsZero() {
		at := h.FailingSince
		e.FailingSince, data.FailingSince, data.LastReason = at, &at, h.LastReason
	}
	e.State, e.Reason, e.By, e.ChangedAt = EndpointPaused, reason, by, Stamp(now)
	return e, e.event(data, now, "paused", string(reason), since.UTC().Format(time.RFC3339Nano))
}

func (e Endpoint) resumed(reason EndpointReason, by string, now time.Time) (Endpoint, Event) {
	event := e.event(EndpointResumed{Target: e.Target, Reason: reason, Was: e.State, By: by}, now,
		"resumed", string(e.State), strconv.Itoa(e.Stage), e.ChangedAt.UTC().Format(time.RFC3339Nano))
	e.State, e.Reason, e.Stage, e.FailingSince, e.By = EndpointHealthy, reason, 0, time.Time{}, by
	e.ChangedAt, e.SettledAt = Stamp(now), Stamp(now)
	return e, event
}

// Pause stops the calls because somebody asks for it; CodeConflict when they are
// stopped, or cannot be.
func (e Endpoint) Pause(h EndpointHealth, by string, now time.Time) (Endpoint, Event, error) {
	switch {
	case e.State == EndpointPaused:
		return e, Event{}, Errorf(CodeConflict, "the endpoint is paused already")
	case !MayWait(e.Target):
		return e, Event{}, Errorf(CodeConflict, "a function cannot be paused: contacts wait for its answers")
	}
	next, event := e.paused(EndpointAsked, h.after(e.SettledAt), by, now, Stamp(now))
	return next, event, nil
}

// Resume lets calls go on, and begins a new count of what fails; CodeConflict when
// nothing was decided about the endpoint.
func (e Endpoint) Resume(reason EndpointReason, by string, now time.Time) (Endpoint, Event, error) {
	if e.State != EndpointPaused && e.State != EndpointWarned {
		return e, Event{}, Errorf(CodeConflict, "the endpoint is neither paused nor warned of")
	}
	next, event := e.resumed(reason, by, now)
	return next, event, nil
}
