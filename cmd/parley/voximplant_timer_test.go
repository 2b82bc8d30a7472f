package main

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// movable is a clock that a test can put forward. It runs on by itself, and has
// the monotonic reading.
type movable struct{ ahead atomic.Int64 } // nanoseconds

func (m *movable) now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

// forward puts the clock forward.
func (m *movable) forward(by time.Duration) { m.ahead.Add(int64(by)) }

// to puts the clock forward to a time, which is not passed yet.
func (m *movable) to(t *testing.T, at time.Time) {
	t.Helper()
	by := at.Sub(m.now().Round(0))
	if by < 0 {
		t.Fatalf("%s has passed %s ago", at, -by)
	}
	m.forward(by)
}

func onClock(m *movable) option { return func(s *settings) { s.clock = m.now } }

// newMovableKit starts a Parley of its own whose clock can be moved.
func newMovableKit(t *testing.T, options ...option) (*kit, *movable) {
	t.Helper()
	clock := &movable{}
	return newKit(t, append(options, onClock(clock))...), clock
}

// timely is how late a timer may be.
const timely = 2 * time.Second

// The cases that move the clock.
//
//nolint:thelper // tests, not helpers of tests
var kitTimerCases = []kitCase{
	{"054", func(t *testing.T, _ *kit) {
		s, clock := newMovableKit(t)
		c := s.acme.channel(t, object{"close_after": 60})
		kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
		spoke := c.only(t, kitClient).RecordedAt
		clock.to(t, spoke.Add(59*time.Second))
		c.stillOpen(t, kitClient)
		call := c.closedIn(t, clock, kitClient, 1, spoke.Add(time.Minute))
		isEvent(t, call, "close_conversation", object{"close_reason": "CLOSED_BY_CLIENT_TIMEOUT"})
	}},
	{"055", func(t *testing.T, _ *kit) {
		s, clock := newMovableKit(t)
		c := s.acme.channel(t, object{"close_after": 60})
		kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
		clock.to(t, c.only(t, kitClient).RecordedAt.Add(50*time.Second))
		kitAccepted(t, c.post(t, c.says(kitClient, "still there")))
		all := c.messages(t, kitClient)
		if len(all) != 2 {
			t.Fatalf("%+v", all)
		}
		clock.to(t, all[1].RecordedAt.Add(59*time.Second))
		c.stillOpen(t, kitClient)
		c.closedIn(t, clock, kitClient, 1, all[1].RecordedAt.Add(time.Minute))
	}},
	{"056", kitBotTimer},
	{"067", func(t *testing.T, _ *kit) {
		s, clock := newMovableKit(t)
		queue := s.acme.makes(t, "queues", object{"name": "a minute", "max_wait": 60})
		c := s.acme.channel(t, object{"redirect": object{"queue_id": queue}, "close_after": 600})
		v := c.hears(t, kitClient, "hello")
		if v.Handler.Type != "queue" || v.Handler.Queue != queue {
			t.Fatalf("%+v", v)
		}
		clock.to(t, v.OpenedAt.Add(59*time.Second))
		if v := c.conversation(t, kitClient); v.Handler.Type != "queue" {
			t.Errorf("before it is time: %+v", v)
		}
		v = c.becomes(t, kitClient, "unassigned", func(v kitConversation) bool { return v.Handler.Type == "unassigned" })
		if v.Status != "open" || clock.now().Sub(v.OpenedAt) > time.Minute+timely {
			t.Errorf("%s after it was opened: %+v", clock.now().Sub(v.OpenedAt), v)
		}
		var list struct {
			Data []kitConversation `json:"data"`
		}
		if s.acme.read(t, "/v1/conversations?handler=unassigned&channel="+c.id, &list); len(list.Data) != 1 || list.Data[0].ID != v.ID {
			t.Errorf("unassigned are %+v", list.Data)
		}
		// The first thing that the integration is told is what comes afterwards.
		c.replies(t, v, "at last")
		if got := kitTold(c.stub.gets(t, 1)); !slices.Equal(got, []string{"at last"}) {
			t.Errorf("told %q", got)
		}
	}},
	{"025", func(t *testing.T, _ *kit) {
		s, clock := newMovableKit(t)
		c := s.fixture
		issued := time.Unix(kitClaims(t, c.access).Issued, 0)
		clock.to(t, issued.Add(14*time.Minute+59*time.Second))
		kitAccepted(t, c.post(t, c.says(kitClient, "in time")))
		clock.to(t, issued.Add(15*time.Minute+time.Second))
		kitRefused(t, c.post(t, c.says(kitClient, "too late")), http.StatusUnauthorized)
		c.access, c.refresh = kitTokens(t, s.refreshes(t, c.refresh))
		kitAccepted(t, c.post(t, c.says(kitClient, "refreshed")))
	}},
	{"016", func(t *testing.T, _ *kit) {
		s, clock := newMovableKit(t)
		issued := time.Unix(kitClaims(t, s.fixture.refresh).Issued, 0)
		clock.to(t, issued.Add(24*time.Hour-time.Second))
		kitTokens(t, s.refreshes(t, s.fixture.refresh))
		clock.to(t, issued.Add(24*time.Hour+time.Second))
		kitRefused(t, s.refreshes(t, s.fixture.refresh), http.StatusUnauthorized)
	}},
}

// stillOpen expects that a conversation is open now.
func (c *kitChan) stillOpen(t *testing.T, client string) {
	t.Helper()
	if v := c.conversation(t, client); v.Status != "open" || v.ClosedAt != nil {
		t.Errorf("closed before it is time: %+v", v)
	}
}

// closedIn waits until a client's conversation is closed by its timer, expects
// that it was between due and two seconds later, as the n-th event that the
// integration was told, and gives that event.
func (c *kitChan) closedIn(t *testing.T, clock *movable, client string, n int, due time.Time) kitCall {
	t.Helper()
	calls := c.stub.getsOf(t, client, n)
	told := clock.now()
	v := c.becomes(t, client, "closed", func(v kitConversation) bool { return v.Status == "closed" })
	if v.CloseReason != "timeout" || v.ClosedAt == nil {
		t.Fatalf("%+v", v)
	}
	if late := v.ClosedAt.Sub(due); late < 0 || late > timely {
		t.Errorf("closed %s after it was due", late)
	}
	if late := told.Sub(due); late > timely {
		t.Errorf("told %s after it was due", late)
	}
	call := calls[n-1]
	if call.kind != "close_conversation" || call.reason != "CLOSED_BY_CLIENT_TIMEOUT" || call.sender != nil {
		t.Errorf("told %s", call.raw)
	}
	return call
}

// kitBotTimer is case 56.
func kitBotTimer(t *testing.T, _ *kit) { //nolint:thelper // a test
	s, clock := newMovableKit(t)
	c, f := s.acme.answered(t, object{"bot_close_after": 60, "close_after": 3600})
	f.answers(func(call kitAsked) any {
		if strings.HasPrefix(call.body.Text, "ask") {
			return object{"text": "And then?", "payload": []any{}}
		}
		return object{"text": nil, "payload": []any{}}
	})
	// bot gives the time of the newest bot message.
	bot := func(client string, messages int) (at time.Time) {
		t.Helper()
		eventually(t, 20*time.Second, "the bot's answer", func() bool {
			all := c.messages(t, client)
			last := all[len(all)-1]
			at = last.RecordedAt
			return len(all) == messages && last.Direction == "out"
		})
		return at
	}
	for _, client := range []string{"silent", "answers"} {
		kitAccepted(t, c.post(t, c.says(client, "ask me")))
	}
	silent := bot("silent", 2)
	at := bot("answers", 2)
	clock.to(t, at.Add(30*time.Second))
	// The function hears it and says nothing: the timer stands.
	kitAccepted(t, c.post(t, c.says("answers", "well")))
	f.gets(t, 3)
	clock.to(t, silent.Add(59*time.Second))
	c.stillOpen(t, "silent")
	c.closedIn(t, clock, "silent", 2, silent.Add(time.Minute))
	clock.to(t, at.Add(5*time.Minute))
	c.stillOpen(t, "answers")
	kitAccepted(t, c.post(t, c.says("answers", "ask me again")))
	again := bot("answers", 5)
	c.stillOpen(t, "answers")
	clock.to(t, again.Add(59*time.Second))
	c.stillOpen(t, "answers")
	c.closedIn(t, clock, "answers", 3, again.Add(time.Minute))
}
