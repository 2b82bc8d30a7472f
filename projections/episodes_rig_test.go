package projections_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
)

// deskChannels are what generated logs of episodes are about: one that redirects
// to a queue, one to a function, and one of a dialect without episodes.
func deskChannels() []domain.Channel {
	desk := domain.Desk{Queue: 7, Wait: 300, CloseAfter: 3600, BotClose: 600}
	bot := desk
	bot.Queue, bot.Wait, bot.Function = 0, 0, 4
	return []domain.Channel{
		{ID: "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33", Account: "acme", Dialect: domain.DialectVoximplant, Desk: desk},
		{ID: "aa11bb22-cc33-4d44-8e55-ff6677889900", Account: "acme", Dialect: domain.DialectVoximplant, Desk: bot},
		theChannels()[1],
	}
}

// deskWriter generates the log of one partition: contacts write, functions and
// agents answer, episodes go from hand to hand, are noted about and closed in
// every way, by people and timers who have seen the newest state or an older one;
// callbacks and functions are called; and records land twice.
type deskWriter struct {
	t       *rapid.T
	now     time.Time
	longest time.Duration // between two events
	log     []domain.Recorded

	thread  *domain.Thread
	took    []bool                              // by offset: the event changed its episode
	views   map[uuid.UUID][]domain.Conversation // of each conversation, oldest first
	made    []*domain.Delivery                  // in order
	byID    map[uuid.UUID]*domain.Delivery
	calls   map[uuid.UUID]domain.MessageReceived // by delivery: what a function was called for
	counter int
	picks   uint32
}

func newDeskWriter(t *rapid.T, longest time.Duration) *deskWriter {
	return &deskWriter{
		t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), longest: longest, thread: domain.NewThread(),
		views: map[uuid.UUID][]domain.Conversation{}, byID: map[uuid.UUID]*domain.Delivery{},
		calls: map[uuid.UUID]domain.MessageReceived{},
	}
}

// pick chooses evenly: drawn numbers are mostly small ones.
func (w *deskWriter) pick(label string, n int) int {
	w.picks++
	return int((rapid.Uint32().Draw(w.t, label)*2654435761 + w.picks*2246822519) >> 12 % uint32(n))
}

func (w *deskWriter) name(what string) uuid.UUID {
	w.counter++
	return domain.DeriveID(what, fmt.Sprint(w.counter))
}

// append lands an event, and follows it with the domain's own folds.
func (w *deskWriter) append(events ...domain.Event) {
	for _, e := range events {
		r := domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: int64(len(w.log))}}
		id := domain.ConversationID(e.Channel, e.ContactRef)
		var before, after domain.Episode
		if c := w.thread.Conversations[id]; c != nil && c.State != nil {
			before = *c.State
		}
		w.thread.Apply(r)
		took := false
		if c := w.thread.Conversations[id]; c != nil {
			view := *c
			if c.State != nil {
				after = *c.State
				view.State = &after
				took = !same(before, after)
			}
			w.views[id] = append(w.views[id], view)
		}
		w.log, w.took = append(w.log, r), append(w.took, took)
		w.follow(r, &after, took)
	}
}

// same tells whether an event has left an episode as it was.
func same(a, b domain.Episode) bool {
	last := func(e domain.Episode) domain.Heard {
		if len(e.Heard) == 0 {
			return domain.Heard{}
		}
		return e.Heard[len(e.Heard)-1]
	}
	return last(a) == last(b) && a.Open == b.Open
}

// follow keeps the deliveries.
func (w *deskWriter) follow(r domain.Recorded, episode *domain.Episode, took bool) {
	if d, ok := domain.DeliveryOf(r, episode, took); ok && w.byID[d.ID] == nil {
		w.made, w.byID[d.ID] = append(w.made, &d), &d
		if received, ok := r.Data.(domain.MessageReceived); ok {
			w.calls[d.ID] = received
		}
		return
	}
	var id uuid.UUID
	switch e := r.Data.(type) {
	case domain.DeliveryAttempted:
		id = e.DeliveryID
	case domain.DeliveryRedriven:
		id = e.DeliveryID
	case domain.DeliveryDropped:
		id = e.DeliveryID
	}
	if d := w.byID[id]; d != nil {
		d.Apply(r)
	}
}

// view is a conversation as somebody has seen it, mostly as it is.
func (w *deskWriter) view(ch domain.Channel, ref string) domain.Conversation {
	id := domain.ConversationID(ch.ID, ref)
	views := w.views[id]
	if len(views) == 0 {
		return domain.Conversation{ID: id, ContactRef: ref}
	}
	if w.pick("late", 4) > 0 {
		return views[len(views)-1]
	}
	return views[w.pick("view", len(views))]
}

func (w *deskWriter) write(events int) []domain.Recorded {
	for range events {
		w.step()
	}
	return w.log
}

func (w *deskWriter) step() {
	w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(w.longest/time.Millisecond)).Draw(w.t, "pause ms")) * time.Millisecond)
	channels := deskChannels()
	ch := channels[w.pick("channel", len(channels))]
	ref := fmt.Sprintf("u/%d", w.pick("contact", 2))
	switch w.pick("kind", 13) {
	case 0, 1, 2:
		w.append(ch.Receive(ref, fmt.Sprintf("m%d", w.pick("external", 6)), w.now, w.says(), w.profile(), w.now))
	case 3, 4:
		if ch.Dialect.HasEpisodes() {
			w.append(ch.SendAs(w.sender(ch), ref, w.name("send"), w.says(), "desk", w.now))
		} else {
			w.append(ch.Send(ref, w.name("send"), w.says(), "desk", w.now))
		}
	case 5:
		w.assign(ch, ref)
	case 6:
		topic := int64(w.pick("topic", 3))
		w.want(w.view(ch, ref).Mark(ch, w.name("mark"), domain.Marks{
			Tags: []int64{int64(w.pick("tag", 3)), 9}, ReplaceTags: w.pick("replace", 2) == 0, Topic: &topic,
			Variables: domain.Texts{fmt.Sprint("v", w.pick("variable", 3)): "x"},
		}, "desk", w.now))
	case 7:
		reason := domain.CloseReasons[w.pick("reason", len(domain.CloseReasons))]
		w.want(w.view(ch, ref).Close(ch, domain.Closing{Reason: reason, Sender: w.sender(ch)}, w.now))
	case 8:
		w.time(ch, ref)
	case 9, 10:
		w.attempt()
	case 11:
		w.decide()
	case 12:
		if len(w.log) > 0 {
			w.append(w.log[w.pick("again", len(w.log))].Event)
		}
	}
}

// want lands what somebody asks for, if it is to be had.
func (w *deskWriter) want(e domain.Event, err error) {
	if err == nil {
		w.append(e)
	}
}

func (w *deskWriter) assign(ch domain.Channel, ref string) {
	to := []domain.Assignment{
		{To: domain.HandlerQueue, Queue: 9, Wait: 60, Priority: 3, Skills: []domain.SkillLevel{{Skill: 1, Level: 2}}},
		{To: domain.HandlerBot, Function: 4},
		{To: domain.HandlerBot, Function: 5},
		{To: domain.HandlerAgent, AgentID: "31"},
		{To: domain.HandlerUnassigned},
	}[w.pick("to", 5)]
	w.want(w.view(ch, ref).Assign(ch, w.name("assign"), to, "desk", w.now))
}

// time lets timers act on what they have seen.
func (w *deskWriter) time(ch domain.Channel, ref string) {
	c, later := w.view(ch, ref), w.now.Add(2*time.Hour)
	if c.State == nil {
		return
	}
	var e domain.Event
	ok := false
	switch w.pick("timer", 3) {
	case 0:
		e, ok = c.Expire(ch, later)
	case 1:
		e, ok = c.GiveUpWaiting(ch, later)
	case 2:
		e, ok = c.Distribute(ch, domain.Agent{Number: 31}, w.now), c.State.Open && c.Handler == domain.HandlerQueue
	}
	if ok {
		e.Time = domain.Stamp(w.now)
		w.append(e)
	}
}

// attempt calls an endpoint; a function that was called says something.
func (w *deskWriter) attempt() {
	var open []*domain.Delivery
	for _, d := range w.made {
		if d.Open() {
			open = append(open, d)
		}
	}
	if len(open) == 0 {
		return
	}
	d := *open[w.pick("delivery", len(open))]
	verdict := []domain.Verdict{domain.Delivered, domain.Delivered, domain.Retry, domain.Refused}[w.pick("verdict", 4)]
	o := domain.Outcome{Verdict: verdict, Reason: domain.ReasonServerError, HTTPStatus: 500}
	events := []domain.Event{d.Attempted(o, domain.DeliveryPolicy{}, time.Second, w.pick("more", 2) == 0, w.now, w.now)}
	if received, called := w.calls[d.ID]; called && verdict == domain.Delivered {
		reply := []domain.FunctionReply{
			{},
			{Text: "one moment"},
			{Text: "bye", Finish: true},
			{Text: "to you", Transfer: &domain.Assignment{To: domain.HandlerQueue, Queue: 9}, Marks: domain.Marks{Tags: []int64{5}}},
			{Transfer: &domain.Assignment{To: domain.HandlerBot, Function: 5}},
		}[w.pick("reply", 5)]
		for _, ch := range deskChannels() {
			if ch.ID == d.Channel {
				events = append(events, ch.Answer(domain.Answering{
					ContactRef: d.ContactRef, Conversation: received.ConversationID,
					Handling: d.Subject.Episode.Handling, Inbound: d.Subject.Inbound, ID: d.ID,
				}, reply, w.now)...)
			}
		}
	}
	w.append(events...)
}

// decide redrives or drops a dead letter.
func (w *deskWriter) decide() {
	for _, d := range w.made {
		if d.State != domain.StateDead {
			continue
		}
		if w.pick("drop", 2) == 0 {
			w.want(d.Drop("desk", w.now))
		} else {
			w.want(d.Redrive("desk", w.now))
		}
		return
	}
}

func (w *deskWriter) sender(ch domain.Channel) *domain.Sender {
	return []*domain.Sender{
		nil, domain.BotSender(), domain.BotSender(),
		domain.Agent{Number: 31, Username: "petra"}.Sender(), domain.SenderOf(ch.Account, "desk-2"),
	}[w.pick("sender", 5)]
}

func (w *deskWriter) says() domain.Content {
	return domain.Content{Type: domain.ContentText, Text: fmt.Sprint("word ", w.pick("word", 3))}
}

func (w *deskWriter) profile() *domain.Profile {
	return []*domain.Profile{nil, {DisplayName: "Una"}, {Email: "una@example.com", Visit: &domain.Visit{City: "Riga"}}}[w.pick("profile", 3)]
}
