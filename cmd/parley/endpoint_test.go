package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Contacts of the patient.
const (
	ann = "+15550111"
	bea = "+15550112"
)

func endpointPolicy(warn, pause time.Duration) option {
	return func(s *settings) { s.EndpointWarnAfter, s.EndpointPauseAfter = []time.Duration{warn}, pause }
}

// patient is a receiver that is not always well: while it has a mood it answers
// with that status and notes nothing but the number of calls.
type patient struct {
	*receiver

	front *httptest.Server
	mood  atomic.Int64 // status, 0 = well
	ill   atomic.Int64 // calls answered so
}

func newPatient(t testing.TB) *patient {
	t.Helper()
	p := &patient{receiver: newReceiver(t)}
	p.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if status := p.mood.Load(); status != 0 {
			p.ill.Add(1)
			w.WriteHeader(int(status))
			return
		}
		p.Config.Handler.ServeHTTP(w, req)
	}))
	t.Cleanup(p.front.Close)
	return p
}

// ward is a Parley with a channel whose receiver is a patient, and one whose
// receiver is always well.
type ward struct {
	*parley

	patient *patient
	well    *receiver
	id      string // of the patient's channel
	other   string // of the other one
	sent    int
}

func newWard(t testing.TB, policy string, options ...option) *ward {
	t.Helper()
	w := &ward{parley: startParley(t, options...), patient: newPatient(t), well: newReceiver(t)}
	create := func(name, to, policy string) string {
		return w.channel(fmt.Sprintf(`{"dialect":"respondio","name":%q,"id_type":"phone","callback_url":%q,"rate_per_second":0,"delivery":%s}`, name, to, policy)).ID
	}
	w.id, w.other = create("Patient", w.patient.front.URL, policy), create("Well", w.well.URL, `{}`)
	return w
}

func (w *ward) send(channel, contact, text string) {
	w.t.Helper()
	w.expect(http.StatusAccepted, http.MethodPost, "/v1/channels/"+channel+"/messages", w.Token,
		fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, contact, text))
}

// settles waits until a message to the other channel, sent now, has arrived: what
// was sent before it to one that is called would have been sent, too.
func (w *ward) settles() {
	w.t.Helper()
	w.sent++
	w.send(w.other, "+15550100", fmt.Sprint(w.sent))
	eventually(w.t, 60*time.Second, "the other channel is served", func() bool { return w.well.count() >= w.sent })
}

type endpointAnswer struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Stage    int    `json:"stage"`
	By       string `json:"by"`
	Failures int    `json:"failures"`
}

func (w *ward) endpoint() (e endpointAnswer) {
	w.t.Helper()
	if err := json.Unmarshal(w.expect(http.StatusOK, http.MethodGet, "/v1/endpoints/"+w.id, w.Token, ""), &e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *ward) becomes(state, reason string) (e endpointAnswer) {
	w.t.Helper()
	eventually(w.t, 60*time.Second, state+" "+reason, func() bool {
		e = w.endpoint()
		return e.State == state && e.Reason == reason
	})
	return e
}

// arrives waits until a contact has got texts, in order, and each once.
func (w *ward) arrives(contact string, texts ...string) {
	w.t.Helper()
	eventually(w.t, 60*time.Second, contact+" is served", func() bool { return len(w.patient.got(contact)) >= len(texts) })
	w.patient.mu.Lock()
	defer w.patient.mu.Unlock()
	if got := w.patient.calls[contact]; !slices.Equal(got, texts) {
		w.t.Errorf("%s got %v, want %v", contact, got, texts)
	}
}

// warns checks what the view of the channel warns of; "" is nothing.
func (w *ward) warns(says string) {
	w.t.Helper()
	raw := string(w.expect(http.StatusOK, http.MethodGet, "/v1/channels/"+w.id, w.Token, ""))
	if says == "" && strings.Contains(raw, `"warnings"`) || !strings.Contains(raw, says) {
		w.t.Errorf("the channel's warnings lack %q: %s", says, raw)
	}
}

// told checks that the log has events of the endpoint with these types and words.
func (w *ward) told(kind string, words ...string) {
	w.t.Helper()
	raw := string(w.expect(http.StatusOK, http.MethodGet, "/v1/events?type="+kind, w.Token, ""))
	contains(w.t, kind, raw, append(words, w.id)...)
}

// TestEndpoint_gone: one answer 410 pauses an endpoint at once; what comes later
// waits, over a restart, and is delivered in order when the endpoint is resumed.
// Other endpoints and other accounts have nothing to do with it.
func TestEndpoint_gone(t *testing.T) {
	t.Parallel()
	w := newWard(t, `{}`)
	w.patient.mood.Store(http.StatusGone)
	w.send(w.id, ann, "refused")
	w.becomes("paused", "gone")
	w.warns("callback paused (gone)")
	w.told("endpoint.paused", `"gone"`)
	w.patient.mood.Store(0)
	for _, text := range []string{"1", "2", "3"} {
		w.send(w.id, ann, text)
		w.send(w.id, bea, text)
	}
	w.settles()
	w.stop()
	w.start()
	w.settles()
	if n, calls := w.patient.ill.Load(), w.patient.count(); n != 1 || calls != 0 {
		t.Errorf("%d calls were answered 410, %d came after it", n, calls)
	}
	var other struct {
		Token struct {
			Secret string `json:"token"`
		} `json:"token"`
	}
	if err := json.Unmarshal(w.expect(http.StatusCreated, http.MethodPost, "/v1/accounts", w.Token, `{"name":"other"}`), &other); err != nil {
		t.Fatal(err)
	}
	if raw := string(w.expect(http.StatusOK, http.MethodGet, "/v1/endpoints", other.Token.Secret, "")); !strings.Contains(raw, `"data":[]`) {
		t.Errorf("another account sees %s", raw)
	}
	path := "/v1/endpoints/" + w.id
	w.expect(http.StatusNotFound, http.MethodGet, path, other.Token.Secret, "")
	w.expect(http.StatusNotFound, http.MethodPost, path+"/resume", other.Token.Secret, "")
	w.becomes("paused", "gone")
	w.expect(http.StatusOK, http.MethodPost, path+"/resume", w.Token, "")
	w.arrives(ann, "1", "2", "3")
	w.arrives(bea, "1", "2", "3")
	w.expect(http.StatusConflict, http.MethodPost, path+"/resume", w.Token, "")
	w.warns("")
	w.told("endpoint.resumed", `"asked"`)
}

// TestEndpoint_failing: an endpoint at which nothing succeeds is warned of, forgiven
// by a success, and paused when it goes on; another address resumes it.
func TestEndpoint_failing(t *testing.T) {
	t.Parallel()
	clock := &movable{}
	w := newWard(t, `{"schedule":[]}`, endpointPolicy(time.Hour, 2*time.Hour), onClock(clock))
	calls := 0
	fails := func() {
		calls++
		w.send(w.id, fmt.Sprintf("+155502%02d", calls), "lost")
		eventually(t, 60*time.Second, "the failure is known", func() bool { return w.patient.ill.Load() == int64(calls) && w.endpoint().Failures > 0 })
	}
	w.patient.mood.Store(http.StatusInternalServerError)
	fails()
	clock.forward(61 * time.Minute)
	fails()
	if e := w.becomes("warned", "failing"); e.Stage != 1 || e.Failures != 2 {
		t.Errorf("warned of: %+v", e)
	}
	w.warns("no call to the callback has succeeded since")
	w.told("endpoint.warned", `"stage":1`, `"server_error"`)

	w.patient.mood.Store(0)
	w.send(w.id, ann, "forgives")
	w.arrives(ann, "forgives")
	if e := w.becomes("healthy", ""); e.Failures != 0 { // nothing is kept of it but the event
		t.Errorf("forgiven: %+v", e)
	}
	w.told("endpoint.resumed", `"recovered"`)
	w.warns("")

	w.patient.mood.Store(http.StatusInternalServerError)
	fails()
	clock.forward(61 * time.Minute)
	fails()
	w.becomes("warned", "failing")
	clock.forward(61 * time.Minute)
	fails()
	w.becomes("paused", "failing")
	w.warns("callback paused (failing)")
	w.send(w.id, ann, "1")
	w.send(w.id, ann, "2")
	w.settles()
	if n := w.patient.ill.Load(); n != int64(calls) {
		t.Errorf("%d calls, %d of them after the pause", n, n-int64(calls))
	}
	w.expect(http.StatusOK, http.MethodPatch, "/v1/channels/"+w.id, w.Token, fmt.Sprintf(`{"callback_url":%q}`, w.patient.URL))
	w.becomes("healthy", "callback_changed")
	w.arrives(ann, "forgives", "1", "2")
}

// TestEndpoint_commands: an endpoint is paused and resumed by hand, and shown.
func TestEndpoint_commands(t *testing.T) {
	t.Parallel()
	w := newWard(t, `{}`)
	contains(t, "list", w.must("endpoints", "list"), w.id, w.other, "healthy")
	contains(t, "pause", w.must("endpoints", "pause", w.id), `"paused"`, `"asked"`, `"by"`)
	contains(t, "pause again", w.refused("endpoints", "pause", w.id), "paused already")
	if out := w.must("endpoints", "list", "--state", "paused"); !strings.Contains(out, w.id) || strings.Contains(out, w.other) {
		t.Errorf("paused ones:\n%s", out)
	}
	w.send(w.id, ann, "1")
	w.send(w.id, ann, "2")
	w.settles()
	if n := w.patient.count(); n != 0 {
		t.Errorf("%d calls while it is paused", n)
	}
	contains(t, "resume", w.must("endpoints", "resume", w.id), `"healthy"`)
	w.arrives(ann, "1", "2")
	contains(t, "show", w.must("endpoints", "show", w.id), w.id, `"healthy"`)
	contains(t, "resume again", w.refused("endpoints", "resume", w.id), "neither paused nor warned of")
	w.must("endpoints", "pause", w.id)
	w.send(w.id, ann, "nobody's")
	w.expect(http.StatusNoContent, http.MethodDelete, "/v1/channels/"+w.id, w.Token, "")
	eventually(t, 30*time.Second, "what waits for a deleted channel ends", func() bool {
		raw := string(w.expect(http.StatusOK, http.MethodGet, "/v1/deliveries?channel="+w.id, w.Token, ""))
		return strings.Contains(raw, `"channel_deleted"`) && !strings.Contains(raw, `"pending"`)
	})
	contains(t, "show nothing", w.refused("endpoints", "show", "nothing"), "endpoint")
}

// TestEndpoint_endsWithItsOwner: what was decided about the callback of a channel, or
// about a subscription, ends when that is deleted, and what waits there with it: it
// is in no list, and does not come back when the rows are built anew.
func TestEndpoint_endsWithItsOwner(t *testing.T) {
	t.Parallel()
	w := newWard(t, `{"schedule":[]}`)
	w.patient.mood.Store(http.StatusInternalServerError)
	s := w.subscribe(w.Token, fmt.Sprintf(`{"url":%q,"events":["message.sent"],"delivery":{"schedule":[]}}`, w.patient.front.URL))
	sub := "sub~" + s.ID
	w.send(w.id, ann, "fails at both")
	eventually(t, 30*time.Second, "both have failed", func() bool { return w.patient.ill.Load() == 2 })
	for _, id := range []string{w.id, sub} {
		w.expect(http.StatusOK, http.MethodPost, "/v1/endpoints/"+id+"/pause", w.Token, "")
	}
	w.send(w.id, bea, "waits at both")
	eventually(t, 30*time.Second, "it waits for the subscription, too", func() bool {
		raw := string(w.expect(http.StatusOK, http.MethodGet, "/v1/deliveries?kind=subscription&state=pending", w.Token, ""))
		return strings.Contains(raw, sub)
	})
	w.expect(http.StatusNoContent, http.MethodDelete, "/v1/channels/"+w.id, w.Token, "")
	w.expect(http.StatusNoContent, http.MethodDelete, "/v1/subscriptions/"+s.ID, w.Token, "")
	if kept := w.dev.node.registry.Endpoints(""); len(kept) > 0 {
		t.Errorf("kept: %+v", kept)
	}
	over := func(when string) {
		t.Helper()
		eventually(t, 30*time.Second, "what waited has ended "+when, func() bool {
			raw := string(w.expect(http.StatusOK, http.MethodGet, "/v1/deliveries?state=dead", w.Token, ""))
			return strings.Contains(raw, `"channel_deleted"`) && strings.Contains(raw, `"unsubscribed"`)
		})
		list := string(w.expect(http.StatusOK, http.MethodGet, "/v1/endpoints", w.Token, ""))
		if strings.Contains(list, w.id) || strings.Contains(list, sub) || !strings.Contains(list, w.other) {
			t.Errorf("listed %s: %s", when, list)
		}
		for _, id := range []string{w.id, sub} {
			w.expect(http.StatusNotFound, http.MethodGet, "/v1/endpoints/"+id, w.Token, "")
			w.expect(http.StatusNotFound, http.MethodPost, "/v1/endpoints/"+id+"/pause", w.Token, "")
		}
	}
	over("at once")
	w.stop()
	replaceDatabase(t, w.set.DatabaseURL)
	w.start()
	over("after a rebuild")
	if n := w.patient.ill.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

// TestEndpoint_breaker: an endpoint that fails many times is left in peace but for
// probes, and gets everything, in order, when it is back.
func TestEndpoint_breaker(t *testing.T) {
	t.Parallel()
	w := newWard(t, `{"schedule":[`+strings.TrimSuffix(strings.Repeat(`"1s",`, 30), ",")+`]}`)
	w.patient.mood.Store(http.StatusServiceUnavailable)
	const contacts = 40
	for i := range contacts {
		for _, text := range []string{"1", "2", "3"} {
			w.send(w.id, fmt.Sprintf("+155503%02d", i), text)
		}
	}
	program := &process{t: t, URL: w.URL}
	eventually(t, 60*time.Second, "the breaker opens", func() bool {
		return strings.Contains(program.metrics(), "parley_delivery_breaker_openings_total 1\n")
	})
	before := w.patient.ill.Load()
	<-time.After(4 * time.Second)
	// Two or three probes, and what was in flight; without a breaker it were 160.
	if n := w.patient.ill.Load() - before; n == 0 || n > 20 {
		t.Errorf("%d calls in 4 s behind the breaker", n)
	}
	w.settles()
	w.patient.mood.Store(0)
	for i := range contacts {
		w.arrives(fmt.Sprintf("+155503%02d", i), "1", "2", "3")
	}
	if !strings.Contains(program.metrics(), `parley_delivery_breaker_state{state="open"} 0`+"\n") {
		t.Error("the breaker is still open")
	}
}
