package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Delivery and retry.
//
//nolint:thelper // tests, not helpers of tests
var kitDeliveryCases = []kitCase{
	{"059", func(t *testing.T, s *kit) {
		c := s.acme.channel(t) // the default schedule begins 1s 5s
		c.stub.answers(func(n int, _ kitCall, w http.ResponseWriter, _ *http.Request) {
			if n <= 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		m := c.replies(t, c.hears(t, kitClient, "hello"), "try again")
		calls := c.stub.gets(t, 3)
		for i, planned := range []time.Duration{time.Second, 5 * time.Second} {
			if string(calls[i+1].raw) != string(calls[0].raw) || calls[i+1].header.Get("Authorization") != calls[0].header.Get("Authorization") {
				t.Errorf("another post: %s, then %s", calls[0].raw, calls[i+1].raw)
			}
			// The rest is for a machine that is busy with other tests.
			const busy = 300 * time.Millisecond
			if wait := calls[i+1].at.Sub(calls[i].done); wait < planned*8/10 || wait > planned*12/10+busy {
				t.Errorf("repeated after %s, planned %s", wait, planned)
			}
		}
		if m := c.outcome(t, m.ID); m.Status != "sent" {
			t.Errorf("%+v", m)
		}
	}},
	{"060", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		c.stub.answers(func(n int, _ kitCall, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.WriteHeader(http.StatusBadRequest)
			}
		})
		v := c.hears(t, kitClient, "hello")
		first, second := c.replies(t, v, "one"), c.replies(t, v, "two")
		if m := c.outcome(t, first.ID); m.Status != "failed" {
			t.Errorf("%+v", m)
		}
		if m := c.outcome(t, second.ID); m.Status != "sent" {
			t.Errorf("%+v", m)
		}
		if got := kitTold(c.stub.gets(t, 2)); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("told %q", got)
		}
	}},
	{"061", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		release := make(chan struct{})
		c.stub.answers(func(_ int, call kitCall, _ http.ResponseWriter, r *http.Request) {
			if call.client != "x" {
				return
			}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		x, y := c.hears(t, "x", "hello"), c.hears(t, "y", "hello")
		texts := []string{"one", "two", "three"}
		for _, text := range texts {
			c.replies(t, x, text)
		}
		eventually(t, 20*time.Second, "the stalled post", func() bool { return len(c.stub.of("x")) == 1 })
		for _, text := range texts {
			c.replies(t, y, text)
		}
		if got := kitTold(c.stub.getsOf(t, "y", 3)); !slices.Equal(got, texts) {
			t.Errorf("y was told %q", got)
		}
		if stalled := c.stub.of("x"); len(stalled) != 1 || !stalled[0].done.IsZero() {
			t.Errorf("x was told %q", kitTold(stalled))
		}
		close(release)
		if got := kitTold(c.stub.getsOf(t, "x", 3)); !slices.Equal(got, texts) {
			t.Errorf("x was told %q", got)
		}
	}},
	{"062", func(t *testing.T, _ *kit) {
		s := newKit(t)
		c := s.acme.channel(t)
		c.stub.answers(func(_ int, _ kitCall, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		m := c.replies(t, c.hears(t, kitClient, "hello"), "waits")
		eventually(t, 20*time.Second, "a first post", func() bool { return len(c.stub.events()) >= 1 })
		s.parley.stop()
		before := c.stub.events()
		c.stub.answers(nil)
		s.parley.start()
		if m := c.outcome(t, m.ID); m.Status != "sent" {
			t.Errorf("%+v", m)
		}
		after := c.stub.gets(t, len(before)+1)
		last := after[len(after)-1]
		if last.id != before[0].id || string(last.raw) != string(before[0].raw) {
			t.Errorf("%s, and after the restart %s", before[0].raw, last.raw)
		}
	}},
	{"063", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		c.stub.answers(func(_ int, _ kitCall, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		m := c.replies(t, c.hears(t, kitClient, "hello"), "quietly")
		if m := c.outcome(t, m.ID); m.Status != "sent" {
			t.Errorf("%+v", m)
		}
		c.stub.gets(t, 1)
	}},
}

// Settings. Number 67 moves the clock.
//
//nolint:thelper // tests, not helpers of tests
var kitSettingsCases = []kitCase{
	{"064", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		for _, name := range []string{"close_after", "bot_close_after"} {
			for seconds, right := range map[int]bool{59: false, 60: true, 604800: true, 604801: false} {
				s.acme.saves(t, c, object{name: seconds}, right, name)
			}
		}
	}},
	{"065", func(t *testing.T, s *kit) {
		queue := s.acme.makes(t, "queues", object{"name": "five minutes", "max_wait": 300})
		c := s.acme.channel(t, object{"redirect": object{"queue_id": queue}})
		s.acme.saves(t, c, object{"redirect": object{"queue_id": queue}, "close_after": 300}, false, "close_after")
		s.acme.saves(t, c, object{"redirect": object{"queue_id": queue}, "close_after": 301}, true, "")
	}},
	{"066", func(t *testing.T, s *kit) {
		first := s.acme.makes(t, "topic-sets", object{"name": "first", "topics": []object{{"name": "Boots"}}})
		second := s.acme.makes(t, "topic-sets", object{"name": "second", "topics": []object{{"name": "Coats"}, {"name": "Hats"}}})
		c := s.acme.channel(t, object{"topic_set_id": first})
		shown := func() (v struct {
			TopicSet int64 `json:"topic_set_id"`
		}) {
			t.Helper()
			s.acme.must(t, http.MethodGet, "/v1/channels/"+c.id, nil, http.StatusOK, &v)
			return v
		}
		if v := shown(); v.TopicSet != first {
			t.Errorf("topic set %d, want %d", v.TopicSet, first)
		}
		c.change(t, object{"topic_set_id": second})
		if v := shown(); v.TopicSet != second {
			t.Errorf("topic set %d, want %d", v.TopicSet, second)
		}
		// The topics of the first one are not to be had any more.
		v := c.hears(t, kitClient, "hello")
		marks := "/v1/conversations/" + v.ID + "/marks"
		s.acme.must(t, http.MethodPost, marks, object{"topic_id": 2}, http.StatusAccepted, nil)
		c.change(t, object{"topic_set_id": first})
		if got := s.acme.api(t, http.MethodPost, marks, object{"topic_id": 2}); got.status/100 != 4 {
			t.Errorf("a topic of another set is answered %d %s", got.status, got.raw)
		}
	}},
}

// saves makes a new channel with settings and changes one to have them, and
// expects both to be done, or both to be refused because of a field.
func (a *kitAccount) saves(t *testing.T, c *kitChan, settings object, right bool, field string) {
	t.Helper()
	for _, got := range []answered{
		a.api(t, http.MethodPost, "/v1/channels", a.channelBody(t, c.stub, settings)),
		a.api(t, http.MethodPatch, "/v1/channels/"+c.id, settings),
	} {
		switch {
		case right && got.status/100 != 2:
			t.Errorf("%v: %d %s", settings, got.status, got.raw)
		case !right && ((got.status != http.StatusBadRequest && got.status != http.StatusUnprocessableEntity) || !strings.Contains(string(got.raw), field)):
			t.Errorf("%v: %d %s, want it refused for %s", settings, got.status, got.raw, field)
		}
	}
}
