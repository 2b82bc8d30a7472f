package domain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

var (
	storyChannel = domain.Channel{ID: "620418", Account: "default", Dialect: domain.DialectRespondIO, IDType: domain.IDTypePhone}
	storyStart   = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
)

const ada = "+15550100"

// story is a stream that is told event by event, a second between two.
type story struct {
	t      *testing.T
	now    time.Time
	thread *domain.Thread
	log    []domain.Recorded
	dead   domain.Delivery
}

func tell(t *testing.T) *story {
	t.Helper()
	return &story{t: t, now: storyStart, thread: domain.NewThread()}
}

func (s *story) append(e domain.Event) {
	r := domain.Recorded{Event: e, Position: domain.Position{Partition: 1, Offset: int64(len(s.log))}}
	s.log = append(s.log, r)
	s.thread.Apply(r)
	s.now = s.now.Add(time.Second)
}

func (s *story) pause(d time.Duration) { s.now = s.now.Add(d) }

// again lets the event with that number land a second time.
func (s *story) again(number int) { s.append(s.log[number].Event) }

func (s *story) received(external string) {
	s.append(storyChannel.Receive(ada, external, s.now, text("hello"), nil, s.now))
}

func (s *story) echoed(external string) {
	s.append(storyChannel.Echo(ada, external, s.now, text("yes"), nil, s.now))
}

func (s *story) sent(name string) {
	s.append(storyChannel.Send(ada, domain.DeriveID("test", name), text("yes"), "desk", s.now))
}

func (s *story) receipt(external string, value domain.Status, reason string) {
	s.append(storyChannel.Receipt(ada, external, value, reason, s.now, s.now))
}

func (s *story) attempted(name string, o domain.Outcome) {
	id := domain.DeriveID("test", name)
	d := domain.Delivery{
		ID: domain.DeliveryID(id), MessageID: id, Conversation: domain.ConversationID(storyChannel.ID, ada), State: domain.StatePending,
		Account: "default", Channel: storyChannel.ID, ContactRef: ada, Attempts: len(s.log),
	}
	s.append(d.Attempted(o, domain.DeliveryPolicy{}, time.Second, o.Verdict == domain.Retry && o.Reason != "last", s.now, s.now))
	d.State = domain.StateDead
	s.dead = d
}

func (s *story) answered(name, external string) {
	s.attempted(name, domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, ExternalID: external})
}

func (s *story) refused(name, why string) {
	s.attempted(name, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, Detail: why})
}

func (s *story) redriven() {
	e, err := s.dead.Redrive("desk", s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(e)
}

// closed is a close by somebody who has seen the conversation as seen.
func (s *story) closed(seen domain.Conversation) {
	e, err := seen.Close(storyChannel, domain.Closing{By: "desk"}, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(e)
}

func (s *story) assigned(agent string) {
	e, err := s.conversation().Assign(storyChannel, uuid.New(), domain.Assignment{To: domain.HandlerAgent, AgentID: agent}, "desk", s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(e)
}

func (s *story) conversation() domain.Conversation {
	s.t.Helper()
	c := s.thread.Conversations[domain.ConversationID(storyChannel.ID, ada)]
	if c == nil {
		s.t.Fatal("there is no conversation")
	}
	return *c
}

func text(s string) domain.Content { return domain.Content{Type: domain.ContentText, Text: s} }

// told writes the messages down, in the order of the log: direction, kind,
// external id, status, reason and the words of the history.
func (s *story) told() []string {
	var all []*domain.Message
	for _, m := range s.thread.Messages {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *domain.Message) int { return int(a.Position.Offset - b.Position.Offset) })
	var out []string
	for _, m := range all {
		words := make([]string, len(m.History))
		for i, h := range m.History {
			words[i] = string(h.Value)
		}
		line := fmt.Sprintf("%s %s %q %s (%s)", m.Direction, m.Kind, m.ExternalID, m.Status, strings.Join(words, ">"))
		if m.Reason != "" {
			line += ": " + m.Reason
		}
		out = append(out, line)
	}
	return out
}

// Ensure that words about messages mean what respond-io.md 3.5, 3.8, 4.3 and 4.4 say.
func TestThread_messages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		when func(s *story)
		then []string
	}{
		{
			"an incoming message",
			func(s *story) { s.received("m1") },
			[]string{`in message "m1" delivered ()`},
		},
		{
			"a repeated message is one",
			func(s *story) { s.received("m1"); s.again(0); s.received("m1") },
			[]string{`in message "m1" delivered ()`},
		},
		{
			"directions do not share ids",
			func(s *story) { s.received("m1"); s.echoed("m1") },
			[]string{`in message "m1" delivered ()`, `out echo "m1" sent (sent)`},
		},
		{
			"a receipt for an incoming message has no effect",
			func(s *story) { s.received("m1"); s.receipt("m1", domain.StatusRead, "") },
			[]string{`in message "m1" delivered ()`},
		},
		{
			"a send is queued, then sent under the integration's id",
			func(s *story) { s.sent("a"); s.answered("a", "x1") },
			[]string{`out message "x1" sent (queued>sent)`},
		},
		{
			"a send that is told again is one",
			func(s *story) { s.sent("a"); s.answered("a", "x1"); s.again(0); s.again(1) },
			[]string{`out message "x1" sent (queued>sent)`},
		},
		{
			"receipts move the status up",
			func(s *story) {
				s.sent("a")
				s.answered("a", "x1")
				s.receipt("x1", domain.StatusSent, "")
				s.receipt("x1", domain.StatusDelivered, "")
				s.receipt("x1", domain.StatusRead, "")
			},
			[]string{`out message "x1" read (queued>sent>sent>delivered>read)`},
		},
		{
			"a lower receipt is only history",
			func(s *story) {
				s.echoed("x1")
				s.receipt("x1", domain.StatusRead, "")
				s.receipt("x1", domain.StatusDelivered, "")
			},
			[]string{`out echo "x1" read (sent>read>delivered)`},
		},
		{
			"a receipt that is told again changes nothing",
			func(s *story) {
				s.echoed("x1")
				s.receipt("x1", domain.StatusDelivered, "")
				s.again(1)
			},
			[]string{`out echo "x1" delivered (sent>delivered)`},
		},
		{
			"failed on a sent message",
			func(s *story) {
				s.sent("a")
				s.answered("a", "x1")
				s.receipt("x1", domain.StatusFailed, "no service")
			},
			[]string{`out message "x1" failed (queued>sent>failed): no service`},
		},
		{
			"failed after delivered is only history",
			func(s *story) {
				s.echoed("x1")
				s.receipt("x1", domain.StatusDelivered, "")
				s.receipt("x1", domain.StatusFailed, "no service")
			},
			[]string{`out echo "x1" delivered (sent>delivered>failed)`},
		},
		{
			"delivered after failed counts",
			func(s *story) {
				s.echoed("x1")
				s.receipt("x1", domain.StatusFailed, "no service")
				s.receipt("x1", domain.StatusDelivered, "")
			},
			[]string{`out echo "x1" delivered (sent>failed>delivered)`},
		},
		{
			"sent after failed is only history",
			func(s *story) {
				s.echoed("x1")
				s.receipt("x1", domain.StatusFailed, "no service")
				s.receipt("x1", domain.StatusSent, "")
			},
			[]string{`out echo "x1" failed (sent>failed>sent): no service`},
		},
		{
			"a receipt for nothing makes nothing",
			func(s *story) { s.receipt("x1", domain.StatusRead, "") },
			nil,
		},
		{
			"receipts before the answer",
			func(s *story) {
				s.sent("a")
				s.receipt("x1", domain.StatusDelivered, "")
				s.receipt("x1", domain.StatusRead, "")
				s.receipt("x2", domain.StatusFailed, "not ours")
				s.answered("a", "x1")
			},
			[]string{`out message "x1" read (queued>sent>delivered>read)`},
		},
		{
			"a receipt before the answer, told again after it",
			func(s *story) {
				s.sent("a")
				s.receipt("x1", domain.StatusDelivered, "")
				s.answered("a", "x1")
				s.again(1)
			},
			[]string{`out message "x1" delivered (queued>sent>delivered)`},
		},
		{
			"a receipt five minutes before the answer",
			func(s *story) {
				s.sent("a")
				s.receipt("x1", domain.StatusDelivered, "")
				s.pause(domain.EarlyReceipt - time.Second)
				s.answered("a", "x1")
			},
			[]string{`out message "x1" delivered (queued>sent>delivered)`},
		},
		{
			"a receipt more than five minutes before the answer is forgotten",
			func(s *story) {
				s.sent("a")
				s.receipt("x1", domain.StatusDelivered, "")
				s.pause(domain.EarlyReceipt)
				s.answered("a", "x1")
			},
			[]string{`out message "x1" sent (queued>sent)`},
		},
		{
			"a receipt that is told again waits anew",
			func(s *story) {
				s.sent("a")
				at := s.now
				s.receipt("x1", domain.StatusDelivered, "")
				s.pause(domain.EarlyReceipt - time.Minute)
				s.append(storyChannel.Receipt(ada, "x1", domain.StatusDelivered, "", at, s.now))
				s.pause(2 * time.Minute)
				s.answered("a", "x1")
			},
			[]string{`out message "x1" delivered (queued>sent>delivered)`},
		},
		{
			"a receipt before the echo that names it",
			func(s *story) { s.receipt("x1", domain.StatusRead, ""); s.echoed("x1") },
			[]string{`out echo "x1" read (sent>read)`},
		},
		{
			"an echo of a platform send, after the answer",
			func(s *story) { s.sent("a"); s.answered("a", "x1"); s.echoed("x1") },
			[]string{`out message "x1" sent (queued>sent>sent)`},
		},
		{
			"an echo of a platform send, before the answer",
			func(s *story) {
				s.sent("a")
				s.echoed("x1")
				s.receipt("x1", domain.StatusDelivered, "")
				s.answered("a", "x1")
			},
			[]string{`out message "x1" delivered (queued>sent>sent>delivered)`},
		},
		{
			"an echo before the answer, told again after it",
			func(s *story) { s.sent("a"); s.echoed("x1"); s.answered("a", "x1"); s.again(1) },
			[]string{`out message "x1" sent (queued>sent>sent)`},
		},
		{
			"a repeated echo is one",
			func(s *story) { s.echoed("x1"); s.again(0) },
			[]string{`out echo "x1" sent (sent)`},
		},
		{
			"two sends under one id: a receipt is about the newest",
			func(s *story) {
				s.sent("a")
				s.sent("b")
				s.answered("b", "x1")
				s.answered("a", "x1")
				s.receipt("x1", domain.StatusRead, "")
			},
			[]string{`out message "x1" sent (queued>sent)`, `out message "x1" read (queued>sent>read)`},
		},
		{
			"a receipt for the older of two, told again, is not one for the newer",
			func(s *story) {
				s.sent("a")
				s.answered("a", "x1")
				s.receipt("x1", domain.StatusRead, "")
				s.sent("b")
				s.answered("b", "x1")
				s.again(2)
			},
			[]string{`out message "x1" read (queued>sent>read)`, `out message "x1" sent (queued>sent)`},
		},
		{
			"a refused send",
			func(s *story) { s.sent("a"); s.refused("a", "blocked") },
			[]string{`out message "" failed (queued>failed): blocked`},
		},
		{
			"a try that will be repeated says nothing yet",
			func(s *story) {
				s.sent("a")
				s.attempted("a", domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonTimeout, Detail: "timeout"})
			},
			[]string{`out message "" queued (queued)`},
		},
		{
			"a used-up schedule",
			func(s *story) {
				s.sent("a")
				s.attempted("a", domain.Outcome{Verdict: domain.Retry, Reason: "last", Detail: "timeout"})
			},
			[]string{`out message "" failed (queued>failed): timeout`},
		},
		{
			"a redrive puts it back, and it goes out",
			func(s *story) { s.sent("a"); s.refused("a", "blocked"); s.redriven(); s.answered("a", "x1") },
			[]string{`out message "x1" sent (queued>failed>queued>sent)`},
		},
		{
			"a redrive and its failure told again change nothing",
			func(s *story) {
				s.sent("a")
				s.refused("a", "blocked")
				s.redriven()
				s.again(1)
				s.refused("a", "still blocked")
				s.again(2)
			},
			[]string{`out message "" failed (queued>failed>queued>failed): still blocked`},
		},
		{
			"of two calls that were in flight the first answer counts",
			func(s *story) {
				s.sent("a")
				s.answered("a", "x1")
				s.answered("a", "x2")
				s.refused("a", "seen before")
			},
			[]string{`out message "x1" sent (queued>sent)`},
		},
		{
			"an answer after a failure: it went out after all",
			func(s *story) { s.sent("a"); s.refused("a", "blocked"); s.answered("a", "x1") },
			[]string{`out message "x1" sent (queued>failed>sent)`},
		},
		{
			"an answer told again does not undo a failed receipt",
			func(s *story) {
				s.sent("a")
				s.answered("a", "x1")
				s.receipt("x1", domain.StatusFailed, "no service")
				s.again(1)
			},
			[]string{`out message "x1" failed (queued>sent>failed): no service`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t)
			tt.when(s)
			if diff := cmp.Diff(tt.then, s.told()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that a conversation opens, closes and opens again as its stream says.
func TestThread_conversation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		when func(s *story)
		then string
	}{
		{"a message opens it", func(s *story) { s.received("m1") }, "open 1 unassigned, 1 message"},
		{"an echo opens it", func(s *story) { s.echoed("m1") }, "open 1 unassigned, 1 message"},
		{"a send opens it", func(s *story) { s.sent("a") }, "open 1 unassigned, 1 message"},
		{
			"a close",
			func(s *story) { s.received("m1"); s.closed(s.conversation()) },
			"closed 1 unassigned, 1 message",
		},
		{
			"a close that has been overtaken does nothing",
			func(s *story) { s.received("m1"); seen := s.conversation(); s.received("m2"); s.closed(seen) },
			"open 1 unassigned, 2 messages",
		},
		{
			"a message after a close opens the next episode, unassigned",
			func(s *story) {
				s.received("m1")
				s.assigned("agent-7")
				s.closed(s.conversation())
				s.received("m2")
			},
			"open 2 unassigned, 2 messages",
		},
		{
			"a repeated message does not open it",
			func(s *story) { s.received("m1"); s.closed(s.conversation()); s.again(0) },
			"closed 1 unassigned, 1 message",
		},
		{
			"a receipt does not open it",
			func(s *story) { s.echoed("x1"); s.closed(s.conversation()); s.receipt("x1", domain.StatusRead, "") },
			"closed 1 unassigned, 1 message",
		},
		{
			"a close told again does not close the next episode",
			func(s *story) { s.received("m1"); s.closed(s.conversation()); s.received("m2"); s.again(1) },
			"open 2 unassigned, 2 messages",
		},
		{
			"assigned to an agent",
			func(s *story) { s.received("m1"); s.assigned("agent-7") },
			"open 1 agent agent-7, 1 message",
		},
		{
			"an echo that was a platform send is counted once",
			func(s *story) { s.received("m1"); s.sent("a"); s.echoed("x1"); s.answered("a", "x1") },
			"open 1 unassigned, 2 messages",
		},
		{
			"what was an echo can be closed as the send it turned out to be",
			func(s *story) { s.sent("a"); s.echoed("x1"); s.answered("a", "x1"); s.closed(s.conversation()) },
			"closed 1 unassigned, 1 message",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t)
			tt.when(s)
			c := s.conversation()
			got := fmt.Sprintf("%s %d %s, %d message", c.Status, c.Episode, strings.TrimSpace(string(c.Handler)+" "+c.AgentID), c.Messages)
			if c.Messages != 1 {
				got += "s"
			}
			if got != tt.then {
				t.Errorf("got %q, want %q", got, tt.then)
			}
			if (c.ClosedAt != nil) != (c.Status == domain.StatusClosed) {
				t.Errorf("status %s with ClosedAt %v", c.Status, c.ClosedAt)
			}
		})
	}
}

// Ensure that what is known of a contact is only completed (respond-io.md 3.6).
func TestThread_profileIsCompleted(t *testing.T) {
	t.Parallel()
	s := tell(t)
	say := func(external string, p *domain.Profile) {
		s.append(storyChannel.Receive(ada, external, s.now, text("hello"), p, s.now))
	}
	say("m1", nil)
	say("m2", &domain.Profile{FirstName: "Ada"})
	say("m3", &domain.Profile{FirstName: "Bea", Email: "ada@example.com"})
	say("m1", &domain.Profile{LastName: "Repeated"})
	s.receipt("x9", domain.StatusRead, "")

	if n := len(s.thread.Contacts); n != 1 {
		t.Fatalf("%d contacts, want 1", n)
	}
	got := s.thread.Contacts[domain.ContactID(storyChannel.ID, ada)]
	if diff := cmp.Diff(domain.Profile{FirstName: "Ada", Email: "ada@example.com"}, got.Profile); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if got.DisplayName() != "Ada" || !got.UpdatedAt.Equal(storyStart.Add(2*time.Second)) {
		t.Errorf("got %q, updated at %s", got.DisplayName(), got.UpdatedAt)
	}
}

// Ensure that nobody can make a message's history, or the receipts that wait
// for one, grow without end; what changes the status is kept all the same.
func TestThread_isBounded(t *testing.T) {
	t.Parallel()
	s := tell(t)
	s.echoed("x1")
	for range domain.MaxHistory + 10 {
		s.receipt("x1", domain.StatusSent, "")
	}
	s.receipt("x1", domain.StatusRead, "")
	m := s.thread.Messages[domain.MessageID(storyChannel.ID, ada, domain.Out, "x1")]
	if len(m.History) != domain.MaxHistory+1 || m.Status != domain.StatusRead {
		t.Errorf("a history of %d words ends %s", len(m.History), m.Status)
	}
	for range domain.MaxEarlyReceipts + 10 {
		s.receipt("x2", domain.StatusSent, "")
	}
	key := domain.ExternalKey{Conversation: m.Conversation, ExternalID: "x2"}
	if n := len(s.thread.Early[key]); n != domain.MaxEarlyReceipts {
		t.Errorf("%d receipts wait, want %d", n, domain.MaxEarlyReceipts)
	}
}
