package callback

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/domain"
)

// desk is a dialect with episodes on the plain wire. Functions are called at the
// callback's path and "/function". What they are taken to have said is up to reply.
type desk struct {
	plain

	reply func(d domain.Delivery, o domain.Outcome) domain.FunctionReply
}

func (k desk) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	text, key, url := d.Content.Text, d.MessageID, ch.CallbackURL
	switch d.Kind {
	case domain.DeliverFunction:
		key, url = d.ID, url+"/function"
	case domain.DeliverClose:
		text, key = "closed by "+string(d.Subject.Reason), d.ID
	case domain.DeliverMessage, domain.DeliverSubscription, domain.DeliverNotice:
	}
	if text == "unfit" {
		return domain.Call{}, errors.New("the text is unfit")
	}
	body, err := json.Marshal(told{Contact: d.ContactRef, Text: text})
	return domain.Call{
		Method: http.MethodPost, URL: url, Body: body,
		Headers: []domain.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Idempotency-Key", Value: key.String()}},
	}, err
}

func (k desk) Replies(ch domain.Channel, d domain.Delivery, _ domain.Answer, o domain.Outcome, now time.Time) []domain.Event {
	if d.Kind != domain.DeliverFunction {
		return nil
	}
	r := domain.FunctionReply{Text: "re: " + d.Content.Text}
	if k.reply != nil {
		r = k.reply(d, o)
	}
	to := domain.Answering{
		ContactRef: d.ContactRef, Conversation: d.Conversation, Handling: d.Subject.Episode.Handling, Inbound: d.Subject.Inbound, ID: d.ID,
	}
	return ch.Answer(to, r, now)
}

func speaks(k Dialect) func(*Config) {
	return func(c *Config) { c.Dialects[domain.DialectVoximplant] = k }
}

// function makes a channel whose conversations a function answers.
func (r *ring) function(id string, change ...func(*domain.Channel)) domain.Channel {
	return r.channel(id, append([]func(*domain.Channel){func(ch *domain.Channel) {
		ch.Dialect = domain.DialectVoximplant
		ch.Desk = domain.Desk{Function: 7, CloseAfter: 3600, BotClose: 3600}
	}}, change...)...)
}

// ask appends messages of one contact.
func (r *ring) ask(ch domain.Channel, contact string, texts ...string) []domain.Recorded {
	r.t.Helper()
	var asked []domain.Recorded
	for _, text := range texts {
		e := ch.Receive(contact, uuid.NewString(), time.Now(), domain.Content{Type: domain.ContentText, Text: text}, nil, time.Now())
		at, err := r.log.Append(r.t.Context(), e)
		if err != nil {
			r.t.Fatal(err)
		}
		asked = append(asked, domain.Recorded{Event: e, Position: at[0]})
	}
	return asked
}

// at lists what a path was told, in order.
func (r *receiver) at(path string) []string {
	var list []string
	for _, c := range r.seen() {
		if c.channel == path {
			list = append(list, c.text)
		}
	}
	return list
}

// told lists the types of a partition's events, in order.
func (l *memoryLog) types(partition int) []string {
	records, _ := l.after(partition, 0, 1<<30)
	var list []string
	for _, r := range records {
		list = append(list, strings.TrimSuffix(r.Type(), ".v1"))
	}
	return list
}

// Ensure a function is asked what the contact wrote, that its reply is in the log
// beside the outcome, and that the callback is told of the text and of the close.
func TestFunction_ItsReplyGoesToTheCallback(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newTables(t))
	r.overHTTP()
	ch := r.function("c1")
	registry := prometheus.NewRegistry()
	r.start(speaks(desk{reply: func(d domain.Delivery, _ domain.Outcome) domain.FunctionReply {
		return domain.FunctionReply{Text: "re: " + d.Content.Text, Finish: d.Content.Text == "bye"}
	}}), func(c *Config) { c.Registerer = registry })
	asked := r.ask(ch, "anna", "hello")
	r.receiver.await(t, calls(2))
	asked = append(asked, r.ask(ch, "anna", "bye")...)
	r.receiver.await(t, calls(5))
	if got := r.receiver.at("c1/function"); !slices.Equal(got, []string{"hello", "bye"}) {
		t.Errorf("the function was told %v", got)
	}
	if got := r.receiver.at("c1"); !slices.Equal(got, []string{"re: hello", "re: bye", "closed by bot"}) {
		t.Errorf("the callback was told %v", got)
	}
	d := r.settled(domain.FunctionCallID(asked[1]), domain.StateDelivered)
	if d.Kind != domain.DeliverFunction || d.Target() != "c1#7" || d.Attempts != 1 {
		t.Errorf("got %+v", d)
	}
	types := r.log.types(0)
	if i := slices.Index(types, "delivery.attempted"); i < 0 || types[i+1] != "message.sent" {
		t.Errorf("the log holds %v", types)
	}
	if i := slices.Index(types, "conversation.closed"); i < 2 || types[i-2] != "delivery.attempted" || types[i-1] != "message.sent" {
		t.Errorf("the log holds %v", types)
	}
	// Success has one reason, and each other reason goes with three verdicts.
	kinds := len(kindsOf(domain.DialectRespondIO)) + len(kindsOf(domain.DialectVoximplant))
	if n, err := testutil.GatherAndCount(registry, "parley_delivery_attempts_total"); err != nil || n != kinds*((len(domain.Reasons)-1)*3+1) {
		t.Errorf("%d series, %v", n, err)
	}
}

// Ensure functions that hang delay neither their contacts' callbacks, nor others of
// the channel, nor other channels; and that the channel's rate is not theirs.
func TestFunction_ThatHangsDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 4, newMemory())
		never := make(chan struct{})
		r.receiver.block = func(c received) <-chan struct{} {
			if strings.HasSuffix(c.channel, "/function") {
				return never
			}
			return nil
		}
		w := r.start(speaks(desk{}), func(c *Config) { c.TotalSlots = 100 })
		other := r.channel("other")
		var slow []domain.Channel
		for i := range 30 {
			ch := r.function(name("c", i), func(ch *domain.Channel) { ch.RatePerSecond = 10 })
			slow = append(slow, ch)
			for i := range 20 {
				r.ask(ch, name("contact", i), "hello")
			}
		}
		synctest.Wait()
		if n := len(r.receiver.at("c000/function")); n < 1 || n > 16 {
			t.Errorf("%d calls of one function", n)
		}
		began := time.Now()
		for _, ch := range slow {
			for i := range 10 {
				r.send(ch, name("contact", i), "callback")
			}
		}
		for i := range 20 {
			r.send(other, name("contact", i), "callback")
		}
		synctest.Wait()
		for _, ch := range append(slow, other) {
			if n := len(r.receiver.at(ch.ID)); n < 10 {
				t.Errorf("%d callbacks of %s", n, ch.ID)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the callbacks took %s", took)
		}
		w.end()
	})
}

// Ensure the calls of a function are not held to the rate of the channel's callback.
func TestFunction_HasNoRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.function("c1", func(ch *domain.Channel) { ch.RatePerSecond = 1 })
		w := r.start(speaks(desk{}))
		for i := range 50 {
			r.ask(ch, name("contact", i), "hello")
		}
		synctest.Wait()
		if n := len(r.receiver.at("c1/function")); n != 50 {
			t.Errorf("%d calls of the function at once", n)
		}
		if n := len(r.receiver.at("c1")); n != 1 {
			t.Errorf("%d callbacks at once, one a second is allowed", n)
		}
		w.end()
	})
}

// Ensure that an outcome and what was replied land together: a worker that ends
// before leaves neither and the function is asked again, with the same key; and an
// append that is made again says nothing twice.
func TestReplies_LandWithTheOutcome(t *testing.T) {
	t.Parallel()
	for _, lands := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			ch := r.function("c1")
			r.log.fail = func(e domain.Event) (bool, error) {
				if _, ok := e.Data.(domain.DeliveryAttempted); ok {
					return lands, errors.New("no acknowledgement")
				}
				return true, nil
			}
			w := r.start(speaks(desk{}))
			r.ask(ch, "anna", "hello")
			r.receiver.await(t, calls(1))
			time.Sleep(time.Second) //nolint:forbidigo // the time is faked
			w.end()
			if got := r.log.types(0); !lands && !slices.Equal(got, []string{"message.received"}) {
				t.Fatalf("the log holds %v", got)
			}
			r.log.fail = nil
			w = r.start(speaks(desk{}))
			time.Sleep(time.Second) //nolint:forbidigo // the time is faked
			w.end()
			seen := r.receiver.seen()
			keys := map[string]bool{}
			for _, c := range seen[:len(seen)-1] {
				keys[c.key] = true
			}
			asked, told := r.receiver.at("c1/function"), r.receiver.at("c1")
			if !slices.Equal(told, []string{"re: hello"}) || len(keys) != 1 || (len(asked) == 2) == lands {
				t.Errorf("lands %v: the function was asked %v, the callback told %v, with %d keys", lands, asked, told, len(keys))
			}
		})
	}
}

// Ensure what was replied takes effect once although another worker's outcome of
// the same attempt comes into the log before ours: while our call is made, before
// our append, or while our append comes to nothing. Theirs was the last attempt, or
// asks for another.
func TestReplies_TakeEffectOnceBesideAnotherWorkers(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"calling", "appending", "failing"} {
		for _, verdict := range []domain.Verdict{domain.Retry, domain.Delivered} {
			synctest.Test(t, func(t *testing.T) {
				db := newMemory()
				r := newRing(t, 1, db)
				ch := r.function("c1")
				release := make(chan struct{})
				r.receiver.block = func(c received) <-chan struct{} {
					if c.channel == "c1" {
						return nil
					}
					return release
				}
				k := desk{reply: func(d domain.Delivery, _ domain.Outcome) domain.FunctionReply {
					return domain.FunctionReply{Text: "ours", Finish: true}
				}}
				w := r.start(speaks(k))
				asked := r.ask(ch, "anna", "hello")[0]
				r.receiver.await(t, calls(1))
				episode := &domain.Episode{}
				d, ok := domain.DeliveryOf(asked, episode, episode.Apply(asked))
				if !ok {
					t.Fatal("no delivery")
				}
				o := domain.Outcome{Verdict: verdict, Reason: domain.ReasonServerError}
				theirs := []domain.Event{d.Attempted(o, ch.Delivery, time.Second, true, time.Now().Add(-time.Second), time.Now())}
				if verdict == domain.Delivered {
					k.reply = func(domain.Delivery, domain.Outcome) domain.FunctionReply {
						return domain.FunctionReply{Text: "theirs", Finish: true}
					}
					theirs = append(theirs, k.Replies(ch, d, domain.Answer{}, o, time.Now())...)
				}
				failures := 0
				r.log.fail = func(e domain.Event) (bool, error) {
					if _, ok := e.Data.(domain.DeliveryAttempted); !ok || when == "calling" {
						return true, nil
					}
					for _, e := range theirs {
						r.log.land(e)
					}
					theirs = nil
					if when == "failing" && failures < 3 { // theirs comes back and ours is told anew meanwhile
						failures++
						return false, errors.New("no acknowledgement")
					}
					return true, nil
				}
				if when == "calling" {
					if _, err := r.log.Append(t.Context(), theirs...); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				close(release)
				time.Sleep(10 * time.Second) //nolint:forbidigo // the time is faked
				r.send(r.channel("c2"), "bob", "wakes up who projects")
				synctest.Wait()
				w.end()
				text := map[domain.Verdict]string{domain.Retry: "ours", domain.Delivered: "theirs"}[verdict]
				if got := r.receiver.at("c1"); !slices.Equal(got, []string{text, "closed by bot"}) {
					t.Errorf("%s, %s: the callback was told %v; the log holds %v", when, verdict, got, r.log.types(0))
				}
				said := 0
				for _, name := range r.log.types(0) {
					if name == "message.sent" {
						said++
					}
				}
				if when == "calling" && said != 2 { // one is c2's
					t.Errorf("%s, %s: the log holds %v", when, verdict, r.log.types(0))
				}
				if d := db.rows[d.ID]; d.State != domain.StateDelivered || len(r.receiver.at("c1/function")) != 1 {
					t.Errorf("%s, %s: the delivery is %s after %d attempts", when, verdict, d.State, d.Attempts)
				}
			})
		}
	}
}

// Ensure what is decided about a function's call, and what another worker's came
// to, is of the function's lane.
func TestFunction_HasALaneOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newMemory()
		r := newRing(t, 1, db)
		ch := r.function("c1")
		statuses := map[string]int{"refused": 404, "waits": 503}
		r.receiver.answer = func(c received) (int, http.Header) {
			if status := statuses[c.text]; status != 0 && c.channel != "c1" {
				delete(statuses, c.text)
				return status, nil
			}
			return http.StatusOK, nil
		}
		w := r.start(speaks(desk{}))
		refused := r.ask(ch, "anna", "refused")[0]
		synctest.Wait()
		r.ask(ch, "bob", "waits")
		time.Sleep(500 * time.Millisecond) //nolint:forbidigo // the time is faked
		synctest.Wait()
		for _, d := range db.rows {
			switch {
			case d.ID == domain.FunctionCallID(refused):
				e, err := d.Redrive("somebody", time.Now())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.log.Append(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			case d.ContactRef == "bob":
				e := d.Attempted(domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK}, ch.Delivery, 0, false, time.Now(), time.Now())
				if _, err := r.log.Append(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(10 * time.Second) //nolint:forbidigo // the time is faked
		w.end()
		if got := r.receiver.at("c1/function"); !slices.Equal(got, []string{"refused", "waits", "refused"}) {
			t.Errorf("the function was told %v", got)
		}
	})
}

// Ensure what follows from the last attempt is asked for once: when it was
// delivered, was refused, could not be made up, or has used its schedule up.
func TestReplies_AreOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		status int
		want   domain.Verdict
	}{
		{"hello", 200, domain.Delivered},
		{"hello", 404, domain.Refused},
		{"unfit", 0, domain.Refused},
		{"hello", 503, domain.Exhausted},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			ch := r.function("c1", waits(time.Second))
			r.receiver.answer = func(call received) (int, http.Header) {
				if call.channel == "c1" {
					return http.StatusOK, nil
				}
				return c.status, nil
			}
			var asked []domain.Verdict
			w := r.start(speaks(desk{reply: func(_ domain.Delivery, o domain.Outcome) domain.FunctionReply {
				asked = append(asked, o.Verdict)
				return domain.FunctionReply{Text: "one moment"}
			}}))
			r.ask(ch, "anna", c.text)
			time.Sleep(5 * time.Second) //nolint:forbidigo // the time is faked
			w.end()
			if !slices.Equal(asked, []domain.Verdict{c.want}) {
				t.Errorf("%d: asked with %v", c.status, asked)
			}
			if got := r.receiver.at("c1"); !slices.Equal(got, []string{"one moment"}) {
				t.Errorf("%d: the callback was told %v", c.status, got)
			}
		})
	}
}

// stray replies to another contact than the one who asked.
type stray struct{ desk }

func (s stray) Replies(ch domain.Channel, d domain.Delivery, a domain.Answer, o domain.Outcome, now time.Time) []domain.Event {
	d.ContactRef = "somebody else"
	return s.desk.Replies(ch, d, a, o, now)
}

// Ensure a dialect that fails over an answer costs the answer and not the lane,
// and that the trouble is seen.
func TestReplies_ThatFailAreAFaultOfOurs(t *testing.T) {
	t.Parallel()
	for what, k := range map[string]Dialect{
		"could not be made up": desk{reply: func(domain.Delivery, domain.Outcome) domain.FunctionReply { panic("no") }},
		"somebody else":        stray{},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			ch := r.function("c1")
			w := r.start(speaks(k))
			r.ask(ch, "anna", "one", "two")
			time.Sleep(5 * time.Second) //nolint:forbidigo // the time is faked
			w.end()
			told := r.log.attempts()
			if len(told) != 2 || told[0].Verdict != domain.Refused || told[0].Reason != domain.ReasonInternal ||
				told[0].HTTPStatus != 200 || !strings.Contains(told[0].Detail, what) {
				t.Errorf("%s: outcomes are %+v", what, told)
			}
			if got := r.log.types(0); slices.Contains(got, "message.sent") {
				t.Errorf("%s: the log holds %v", what, got)
			}
		})
	}
}

// Ensure that an outcome which is told anew, because another worker's came first,
// has with it what was replied, for as long as that may not be in the log: the
// process may die before the first append lands.
func TestReplies_GoWithAnOutcomeToldAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 1, newMemory())
		ch := r.function("c1")
		var theirs domain.Event
		r.log.fail = func(e domain.Event) (bool, error) {
			a, ok := e.Data.(domain.DeliveryAttempted)
			if !ok || a.Attempt > 1 {
				return true, nil
			}
			if theirs.Data != nil {
				r.log.land(theirs)
				theirs.Data = nil
			}
			return false, errors.New("no acknowledgement")
		}
		w := r.start(speaks(desk{}))
		release := make(chan struct{})
		r.receiver.block = func(received) <-chan struct{} { return release }
		asked := r.ask(ch, "anna", "hello")[0]
		episode := &domain.Episode{}
		d, _ := domain.DeliveryOf(asked, episode, episode.Apply(asked))
		theirs = d.Attempted(domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonTimeout}, ch.Delivery, time.Second, true, time.Now().Add(-time.Second), time.Now())
		synctest.Wait()
		close(release)
		synctest.Wait()
		r.send(r.channel("c2"), "bob", "wakes up who projects")
		time.Sleep(time.Second) //nolint:forbidigo // the time is faked
		w.end()
		types := r.log.types(0)
		if len(types) < 5 || !slices.Equal(types[:5], []string{"message.received", "delivery.attempted", "message.sent", "delivery.attempted", "message.sent"}) {
			t.Errorf("the log holds %v", types)
		}
	})
}

// Ensure what the endpoint said goes before what was replied, where the log does
// not take both.
func TestReplies_AreWorthMoreThanTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRing(t, 1, newMemory())
	r.overHTTP()
	ch := r.function("c1")
	r.receiver.answer = func(c received) (int, http.Header) {
		if c.channel == "c1" {
			return http.StatusOK, nil
		}
		return http.StatusNotFound, nil
	}
	r.log.fail = func(e domain.Event) (bool, error) {
		if a, ok := e.Data.(domain.DeliveryAttempted); ok && a.Response != "" {
			return false, domain.Errorf(domain.CodeTooLarge, "the events are too large for the log")
		}
		return true, nil
	}
	r.start(speaks(desk{}))
	r.ask(ch, "anna", "hello")
	r.receiver.await(t, calls(2))
	if got := r.receiver.at("c1"); !slices.Equal(got, []string{"re: hello"}) {
		t.Errorf("the callback was told %v", got)
	}
	if told := r.log.attempts(); told[0].Detail == "" || told[0].Response != "" {
		t.Errorf("outcomes are %+v", told)
	}
}

// Ensure what the log does not take for its size is left out, and the outcome is not.
func TestReplies_ThatAreTooLargeAreDropped(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 404} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing(t, 1, newMemory())
			ch := r.function("c1")
			r.receiver.answer = func(received) (int, http.Header) { return status, nil }
			r.log.fail = func(e domain.Event) (bool, error) {
				if _, ok := e.Data.(domain.MessageSent); ok {
					return false, domain.Errorf(domain.CodeTooLarge, "the events are too large for the log")
				}
				return true, nil
			}
			var lines bytes.Buffer
			w := r.start(speaks(desk{}), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
			r.ask(ch, "anna", "hello")
			time.Sleep(5 * time.Second) //nolint:forbidigo // the time is faked
			w.end()
			told := r.log.attempts()
			if len(told) != 1 || told[0].HTTPStatus != status || len(r.log.types(0)) != 2 {
				t.Errorf("outcomes are %+v, the log holds %v", told, r.log.types(0))
			}
			if !strings.Contains(lines.String(), "delivery.replies_dropped") {
				t.Errorf("the log of the process says %s", lines.String())
			}
		})
	}
}
