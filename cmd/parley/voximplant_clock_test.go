package main

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestVoximplantClock: what else depends on the time (voximplant-kit.md 4.6, 6.3
// and 8.5).
func TestVoximplantClock(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*testing.T, *kit, *movable){
		"repeat after a day": repeatAfterADay, "closing time changed": closingTimeChanged, "activity": activity,
		"from function to queue": fromFunctionToQueue, "timers ran out meanwhile": ranOutMeanwhile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clock := newMovableKit(t)
			run(t, s, clock)
		})
	}
}

// repeatAfterADay: the same ids are a repeat for 24 hours, and news after that.
func repeatAfterADay(t *testing.T, s *kit, clock *movable) { //nolint:thelper // a test
	c := s.acme.channel(t, object{"close_after": 604800})
	event := c.says(kitClient, "again and again")
	kitAccepted(t, c.post(t, event))
	first := c.only(t, kitClient).RecordedAt
	relog := func() { c.access, c.refresh = kitTokens(t, s.login(t, "acme", c.token, c.id)) }
	clock.to(t, first.Add(24*time.Hour-30*time.Second))
	relog()
	kitAccepted(t, c.post(t, event))
	c.only(t, kitClient)
	clock.to(t, first.Add(24*time.Hour+time.Second))
	kitAccepted(t, c.post(t, event))
	kitAccepted(t, c.post(t, event))
	if all := c.messages(t, kitClient); len(all) != 2 || all[0].ID == all[1].ID || all[1].ExternalID != all[0].ExternalID {
		t.Errorf("%+v", all)
	}
}

// closingTimeChanged: a shorter closing time holds for open conversations, from
// their last activity; a longer one from the next activity on.
func closingTimeChanged(t *testing.T, s *kit, clock *movable) { //nolint:thelper // a test
	c := s.acme.channel(t, object{"close_after": 600})
	spoke := c.hears(t, "shorter", "hello").OpenedAt
	clock.to(t, spoke.Add(100*time.Second))
	c.stillOpen(t, "shorter")
	c.change(t, object{"close_after": 120})
	clock.to(t, spoke.Add(119*time.Second))
	c.stillOpen(t, "shorter")
	c.closedIn(t, clock, "shorter", 1, spoke.Add(2*time.Minute))

	spoke = c.hears(t, "longer", "hello").OpenedAt
	c.change(t, object{"close_after": 600})
	clock.to(t, spoke.Add(119*time.Second))
	c.stillOpen(t, "longer")
	c.closedIn(t, clock, "longer", 1, spoke.Add(2*time.Minute))

	spoke = c.hears(t, "next", "hello").OpenedAt
	clock.to(t, spoke.Add(599*time.Second))
	c.stillOpen(t, "next")
	c.closedIn(t, clock, "next", 1, spoke.Add(10*time.Minute))
}

// activity: an assignment, a mark and an operator's message start the timer anew;
// giving up in a queue does not.
func activity(t *testing.T, s *kit, clock *movable) { //nolint:thelper // a test
	tag := s.acme.makes(t, "tags", object{"name": "activity"})
	queue := s.acme.makes(t, "queues", object{"name": "half a minute", "max_wait": 30})
	c := s.acme.channel(t, object{"close_after": 60, "use_tags": true, "redirect": object{"queue_id": queue}})
	v := c.hears(t, kitClient, "hello")
	idle := c.hears(t, "idle", "hello")
	due := v.OpenedAt.Add(time.Minute)
	for _, act := range []func(){
		func() {
			c.assigns(t, v, object{"to": "queue", "queue_id": s.acme.queue})
			c.becomes(t, "idle", "unassigned", func(v kitConversation) bool { return v.Handler.Type == "unassigned" })
			clock.to(t, idle.OpenedAt.Add(59*time.Second))
			c.stillOpen(t, "idle")
			c.closedIn(t, clock, "idle", 1, idle.OpenedAt.Add(time.Minute))
		},
		func() {
			s.acme.must(t, http.MethodPost, "/v1/conversations/"+v.ID+"/marks", object{"tags": []int64{tag}}, http.StatusAccepted, nil)
		},
		func() { c.replies(t, v, "I am here") },
	} {
		clock.to(t, due.Add(-10*time.Second))
		c.stillOpen(t, kitClient)
		act()
		var shown struct {
			Request struct {
				ClosesAt time.Time `json:"closes_at"`
			} `json:"request"`
		}
		s.acme.read(t, "/v1/conversations/"+v.ID, &shown)
		if later := shown.Request.ClosesAt.Sub(due); later < 45*time.Second || later > 55*time.Second {
			t.Errorf("the timer was moved by %s", later)
		}
		due = shown.Request.ClosesAt
	}
	clock.to(t, due.Add(-time.Second))
	c.stillOpen(t, kitClient)
	c.closedIn(t, clock, kitClient, 2, due)
}

// fromFunctionToQueue: the bot's timer stops and the other one starts.
func fromFunctionToQueue(t *testing.T, s *kit, clock *movable) { //nolint:thelper // a test
	c, f := s.acme.answered(t, object{"bot_close_after": 60, "close_after": 300})
	f.answers(func(kitAsked) any {
		return object{"text": "A colleague will answer.", "payload": []any{command("transfer_to_queue", object{"queue": object{"queue_name": "line"}})}}
	})
	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	c.becomes(t, kitClient, "in the queue", func(v kitConversation) bool { return v.Handler.Type == "queue" && v.Handler.Queue == s.acme.queue })
	said := c.messages(t, kitClient)[1].RecordedAt
	clock.to(t, said.Add(299*time.Second))
	c.stillOpen(t, kitClient)
	c.closedIn(t, clock, kitClient, 2, said.Add(5*time.Minute))
	if told := kitTold(c.stub.events()); !slices.Equal(told, []string{"A colleague will answer.", "CLOSED_BY_CLIENT_TIMEOUT"}) {
		t.Errorf("told %q", told)
	}
}

// ranOutMeanwhile: timers survive a restart, and those that ran out while Parley
// was down fire at its start.
func ranOutMeanwhile(t *testing.T, s *kit, clock *movable) { //nolint:thelper // a test
	c := s.acme.channel(t, object{"close_after": 60})
	kitAccepted(t, c.post(t, c.says(kitClient, "hello")))
	c.only(t, kitClient)
	s.parley.stop()
	clock.forward(10 * time.Minute)
	s.parley.start()
	if told := kitTold(c.stub.gets(t, 1)); !slices.Equal(told, []string{"CLOSED_BY_CLIENT_TIMEOUT"}) {
		t.Errorf("told %q", told)
	}
	if v := c.hears(t, kitClient, "good morning"); v.Status != "open" || v.Episode != 2 {
		t.Errorf("%+v", v)
	}
}
