package domain

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func names(list []Change) (s string) {
	for _, c := range list {
		s += c.Name + " "
	}
	return s
}

func TestTicketTurns(t *testing.T) {
	t.Parallel()
	until := noon.Add(time.Hour)
	waiting := Ticket{Status: TicketOpen, WaitingSince: &noon}
	for status, toggled := range map[TicketStatus]TicketStatus{
		TicketOpen: TicketResolved, TicketResolved: TicketOpen, TicketPending: TicketOpen, TicketSnoozed: TicketOpen,
	} {
		if got := status.Toggled(); got != toggled || !status.Known() {
			t.Errorf("%s toggled is %s", status, got)
		}
		turned := waiting.Turn(status, &until)
		if (turned.SnoozedUntil != nil) != (status == TicketSnoozed) || (turned.WaitingSince == nil) != (status == TicketResolved) {
			t.Errorf("%s is %+v", status, turned)
		}
		opened, ok := Ticket{Status: status, SnoozedUntil: &until}.Reopen(false, noon)
		if want := status == TicketResolved || status == TicketSnoozed; ok != want || ok && (opened.Status != TicketOpen || opened.SnoozedUntil != nil || opened.WaitingSince == nil) {
			t.Errorf("%s reopened: %v, %+v", status, ok, opened)
		}
		if _, ok := (Ticket{Status: status}).Reopen(true, noon); ok {
			t.Errorf("%s is reopened by who is blocked", status)
		}
	}
	if TicketStatus("").Known() {
		t.Error("no status is one")
	}
}

func TestTicketBegins(t *testing.T) {
	t.Parallel()
	at := noon.Add(1234 * time.Microsecond)
	for _, c := range []struct {
		status  TicketStatus
		blocked bool
		want    TicketStatus
		waits   bool
	}{
		{"", false, TicketOpen, true}, {TicketPending, false, TicketPending, true}, {TicketResolved, false, TicketResolved, false},
		{"", true, TicketResolved, false}, {TicketSnoozed, true, TicketResolved, false},
	} {
		got := Ticket{Status: c.status, SnoozedUntil: &noon}.Begun(c.blocked, at)
		if got.Status != c.want || (got.WaitingSince != nil) != c.waits || got.Revision != 1 || !got.CreatedAt.Equal(Stamp(at)) || !got.LastActivityAt.Equal(got.CreatedAt) {
			t.Errorf("%+v begins as %+v", c, got)
		}
		if (got.SnoozedUntil != nil) != (got.Status == TicketSnoozed) {
			t.Errorf("%+v is snoozed until %v", c, got.SnoozedUntil)
		}
	}
}

func TestTicketTakesPosts(t *testing.T) {
	t.Parallel()
	operator := Author{Operator: &Operator{ID: 4}}
	later := noon.Add(time.Minute)
	waiting := Ticket{Status: TicketOpen, WaitingSince: &noon, LastActivityAt: noon, LastPost: 1, LastSaid: 1, LastPublic: 1}
	for name, c := range map[string]struct {
		post                   Post
		said, public           int64
		waits, answered, wrote bool
		unread                 int
	}{
		"a message of the contact":   {Post{Type: PostIncoming}, 2, 2, true, false, true, 1},
		"an answer":                  {Post{Type: PostOutgoing, By: operator}, 2, 2, false, true, false, 0},
		"one by nobody":              {Post{Type: PostOutgoing}, 2, 2, true, false, false, 0},
		"a template":                 {Post{Type: PostTemplate}, 2, 2, true, false, false, 0},
		"a note":                     {Post{Type: PostOutgoing, Private: true, By: operator}, 2, 1, true, false, false, 0},
		"a note as if by a contact":  {Post{Type: PostIncoming, Private: true}, 2, 1, true, false, false, 0},
		"an activity":                {Post{Type: PostActivity}, 1, 1, true, false, false, 0},
		"an activity that is hidden": {Post{Type: PostActivity, Private: true}, 1, 1, true, false, false, 0},
	} {
		c.post.ID, c.post.CreatedAt = 2, later
		got := waiting.Take(c.post)
		if got.LastPost != 2 || got.LastSaid != c.said || got.LastPublic != c.public || !got.LastActivityAt.Equal(later) || got.Unread != c.unread ||
			(got.WaitingSince != nil) != c.waits || (got.FirstReplyAt != nil) != c.answered || (got.LastIncomingAt != nil) != c.wrote || got.Status != waiting.Status {
			t.Errorf("%s: %+v", name, got)
		}
	}
	answered := Ticket{FirstReplyAt: &noon, LastActivityAt: later}.Take(Post{Type: PostOutgoing, By: operator, CreatedAt: noon})
	if !answered.FirstReplyAt.Equal(noon) || !answered.LastActivityAt.Equal(later) {
		t.Errorf("a second answer, of a clock that is behind: %+v", answered)
	}
}

func TestTicketIsSeen(t *testing.T) {
	t.Parallel()
	ticket := Ticket{Assignee: 4, Unread: 3, LastIncomingAt: &noon}
	if got := ticket.SeenBy(5, noon); got.Unread != 0 || got.AgentSeenAt == nil || got.AssigneeSeenAt != nil {
		t.Errorf("by another: %+v", got)
	}
	if got := ticket.SeenBy(4, noon); got.AssigneeSeenAt == nil {
		t.Errorf("by the assignee: %+v", got)
	}
	if got := (Ticket{}).SeenBy(0, noon); got.AssigneeSeenAt != nil {
		t.Errorf("by nobody: %+v", got)
	}
	if got := ticket.SeenBy(4, noon.Add(time.Hour)).Unsee(12); got.Unread != MaxUnread || !got.AgentSeenAt.Before(noon) || !got.AssigneeSeenAt.Equal(*got.AgentSeenAt) {
		t.Errorf("unseen: %+v", got)
	}
	if got := (Ticket{AgentSeenAt: &noon}).Unsee(0); got.AgentSeenAt != nil || !got.UnseenFrom().IsZero() {
		t.Errorf("with nothing to see: %+v", got)
	}
}

func TestCanReply(t *testing.T) {
	t.Parallel()
	window := Inbox{Additional: Object{"agent_reply_time_window": 1.5}}
	wrote := Ticket{LastIncomingAt: &noon}
	for _, c := range []struct {
		ticket Ticket
		inbox  Inbox
		after  time.Duration
		want   bool
	}{
		{Ticket{}, Inbox{}, 0, true}, {wrote, Inbox{}, 1000 * time.Hour, true}, {Ticket{}, window, 0, false},
		{wrote, window, 89 * time.Minute, true}, {wrote, window, 91 * time.Minute, false},
		{wrote, Inbox{Additional: Object{"agent_reply_time_window": "1"}}, 2 * time.Hour, true},
	} {
		if got := c.ticket.CanReply(c.inbox, noon.Add(c.after)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestTicketTellsWhatChanged(t *testing.T) {
	t.Parallel()
	before := Ticket{Status: TicketOpen, UpdatedAt: noon}
	if got := before.Since(before); got != nil {
		t.Errorf("nothing: %v", got)
	}
	later := noon.Add(time.Second)
	quiet := before
	quiet.AgentSeenAt, quiet.ContactSeenAt, quiet.LastActivityAt, quiet.LastPost, quiet.Unread, quiet.UpdatedAt = &noon, &noon, later, 9, 3, later
	quiet.Custom, quiet.Labels = Object{}, []string{}
	if got := quiet.Since(before); got != nil {
		t.Errorf("what nobody is told of: %v", got)
	}
	after := Ticket{
		Status: TicketSnoozed, SnoozedUntil: &later, Assignee: 4, Team: 2, Priority: "low", Labels: []string{"vip"}, Custom: Object{"a": 1.0},
		WaitingSince: &later, FirstReplyAt: &noon, UpdatedAt: later,
	}
	got := after.Since(before)
	if want := "status snoozed_until assignee_id team_id priority label_list custom_attributes waiting_since first_reply_created_at updated_at "; names(got) != want {
		t.Errorf("all: %s", names(got))
	}
	if got[1].Previous != nil || got[1].Current != "2026-03-01T12:00:01.000Z" || got[9].Previous != "2026-03-01T12:00:00.000Z" || got[2].Current != int64(4) {
		t.Errorf("in the form of the wire: %+v", got)
	}
}

// TestDecisionsAreVoidAsAWhole takes the revisions of two decisions who knew the
// same, or of which one knew a part of the other: of the second none is taken.
func TestDecisionsAreVoidAsAWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		base := decisionSpan * rapid.IntRange(0, 1000).Draw(r, "base")
		revisions := func(known, events int) []int {
			list := []int{}
			for i := range events {
				list = append(list, known+i+1)
			}
			list[events-1] = Settled(known)
			return list
		}
		first := revisions(base, rapid.IntRange(1, 8).Draw(r, "first"))
		knew := base
		if n := rapid.IntRange(0, len(first)-1).Draw(r, "part"); n > 0 {
			knew = first[n-1]
		}
		second := revisions(knew, rapid.IntRange(1, 8).Draw(r, "second"))
		people := map[int64]*Revised{1: {Revision: base}}
		for _, revision := range first {
			if !advance(people, 1, revision) {
				r.Fatalf("%v: %d is void", first, revision)
			}
		}
		for _, revision := range second {
			if advance(people, 1, revision) {
				r.Fatalf("%d of %v is taken after %v", revision, second, first)
			}
		}
	})
}
