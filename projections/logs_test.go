package projections_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
)

// theChannels are what generated logs are about: one of each ID type.
func theChannels() []domain.Channel {
	return []domain.Channel{
		{ID: "620418", Account: "default", Dialect: domain.DialectRespondIO, IDType: domain.IDTypePhone},
		{ID: "620777", Account: "other", Dialect: domain.DialectISMessenger, IDType: domain.IDTypeCustom},
	}
}

// writer generates the log of one partition: a few contacts who write, are
// answered, and whose integration tells receipts and echoes in any order, before
// and after the answer that names their message.
type writer struct {
	t       *rapid.T
	now     time.Time
	longest time.Duration // between two events
	log     []domain.Recorded

	sent    []domain.Event // not answered yet
	dead    []domain.Delivery
	counter int
}

// generated draws a log. Steps of up to longest pass between its events.
func generated(t *rapid.T, longest time.Duration) []domain.Recorded {
	w := &writer{t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), longest: longest}
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		w.step()
	}
	return w.log
}

func (w *writer) append(e domain.Event) {
	w.log = append(w.log, domain.Recorded{Event: e, Position: domain.Position{Partition: 3, Offset: int64(len(w.log))}})
}

// again lets a record of before land once more, at the end.
func (w *writer) again(r domain.Recorded) { w.append(r.Event) }

func (w *writer) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, label) }

func (w *writer) step() {
	w.now = w.now.Add(time.Duration(rapid.Int64Range(0, int64(w.longest/time.Millisecond)).Draw(w.t, "pause ms")) * time.Millisecond)
	ch := theChannels()[w.pick("channel", 2)]
	ref := fmt.Sprintf("+1555010%d", w.pick("contact", 2))
	external := fmt.Sprintf("x%d", w.pick("external", 4))
	sentAt := w.now.Add(-time.Duration(w.pick("sent before", 3)) * time.Second)
	switch w.pick("kind", 10) {
	case 0, 1:
		w.append(ch.Receive(ref, external, sentAt, w.content(), w.profile(), w.now))
	case 2:
		w.append(ch.Echo(ref, external, sentAt, w.content(), w.profile(), w.now))
	case 3, 4:
		w.counter++
		e := ch.Send(ref, domain.DeriveID("send", fmt.Sprint(w.counter)), w.content(), "desk", w.now)
		w.append(e)
		w.sent = append(w.sent, e)
	case 5:
		w.attempt(external)
	case 6, 7:
		value := []domain.Status{domain.StatusSent, domain.StatusDelivered, domain.StatusRead, domain.StatusFailed}[w.pick("value", 4)]
		reason := ""
		if value == domain.StatusFailed {
			reason = "number is not in service"
		}
		w.append(ch.Receipt(ref, external, value, reason, sentAt, w.now))
	case 8:
		w.close(ch, ref)
	case 9:
		w.decide(ch, ref)
	}
}

// attempt gives the oldest message that waits an outcome.
func (w *writer) attempt(external string) {
	if len(w.sent) == 0 {
		return
	}
	d, _ := domain.DeliveryOf(domain.Recorded{Event: w.sent[0]}, nil, false)
	out := domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 200, ExternalID: external}
	switch w.pick("outcome", 4) {
	case 0:
		out = domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "busy"}
	case 1:
		out = domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 400, Detail: "blocked"}
	}
	d.Attempts = len(w.log)
	e := d.Attempted(out, domain.DeliveryPolicy{}, time.Second, w.pick("more", 2) == 0, w.now, w.now)
	w.append(e)
	a := e.Data.(domain.DeliveryAttempted)
	switch a.Verdict {
	case domain.Retry:
	case domain.Refused, domain.Exhausted:
		d.State = domain.StateDead
		w.dead = append(w.dead, d)
		w.sent = w.sent[1:]
	case domain.Delivered:
		if w.pick("in flight twice", 8) > 0 {
			w.sent = w.sent[1:]
		}
	}
}

// close asks for a close by somebody who has seen an earlier or the newest message.
func (w *writer) close(ch domain.Channel, ref string) {
	c := domain.Conversation{ID: domain.ConversationID(ch.ID, ref), ContactRef: ref, Status: domain.StatusOpen}
	thread := domain.NewThread()
	for _, r := range w.log[:len(w.log)-w.pick("unseen", len(w.log)+1)] {
		thread.Apply(r)
	}
	if known := thread.Conversations[c.ID]; known != nil {
		c.LastMessage = known.LastMessage
	}
	e, err := c.Close(ch, domain.Closing{By: "desk"}, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(e)
}

// decide redrives a dead letter, or assigns a conversation.
func (w *writer) decide(ch domain.Channel, ref string) {
	if len(w.dead) > 0 {
		e, err := w.dead[0].Redrive("desk", w.now)
		if err != nil {
			w.t.Fatal(err)
		}
		w.append(e)
		for _, r := range w.log {
			if sent, ok := r.Data.(domain.MessageSent); ok && sent.MessageID == w.dead[0].MessageID {
				w.sent = append(w.sent, r.Event)
				break
			}
		}
		w.dead = w.dead[1:]
		return
	}
	c := domain.Conversation{ID: domain.ConversationID(ch.ID, ref), ContactRef: ref}
	e, err := c.Assign(ch, domain.DeriveID("assign", fmt.Sprint(len(w.log))), domain.Assignment{To: domain.HandlerAgent, AgentID: "agent-7"}, "desk", w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(e)
}

func (w *writer) content() domain.Content {
	lat, long := 38.7, -9.14
	return []domain.Content{
		{Type: domain.ContentText, Text: "Are you open on Sunday?"},
		{Type: domain.ContentAttachment, Attachment: &domain.Attachment{Type: "image", URL: "https://example.com/a.png"}},
		{Type: domain.ContentLocation, Latitude: &lat, Longitude: &long, Address: "Rua 1"},
		{Type: domain.ContentQuickReply, Title: "Shall we?", Replies: []string{"yes", "no"}},
	}[w.pick("content", 4)]
}

func (w *writer) profile() *domain.Profile {
	zone := 5.5
	return []*domain.Profile{nil, {FirstName: "Ada"}, {FirstName: "Bea", Email: "bea@example.com"}, {Timezone: &zone, Phone: "+15550100"}}[w.pick("profile", 4)]
}
