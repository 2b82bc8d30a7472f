package channelx

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

func TestTurn(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)
	type step struct {
		by       actor
		to       domain.TicketStatus
		until    *time.Time
		want     domain.TicketStatus
		assignee int64
		told     []string
		says     string
	}
	turned, note := "turned c:conversation_status_changed status", "noted"
	for name, steps := range map[string][]step{
		"toggled": {
			{byAdmin(), "", nil, "resolved", 0, []string{turned, "changed c:conversation_updated status waiting_since updated_at", note}, "Conversation was resolved by Rui Costa"},
			{byAdmin(), "", nil, "open", 0, []string{turned, "changed c:conversation_updated status updated_at", note}, "Conversation was reopened by Rui Costa"},
		},
		"pending, toggled": {
			{byAdmin(), "pending", nil, "pending", 0, []string{turned, "changed c:conversation_updated status updated_at", note}, "Conversation was marked as pending by Rui Costa"},
			{byAdmin(), "", nil, "open", 0, []string{turned, "changed c:conversation_updated status updated_at", note}, "Conversation was reopened by Rui Costa"},
		},
		"snoozed, toggled": {
			{byAdmin(), "snoozed", &until, "snoozed", 0, []string{turned, "changed c:conversation_updated status snoozed_until updated_at", note}, "Conversation was snoozed by Rui Costa"},
			{byAdmin(), "snoozed", nil, "snoozed", 0, nil, ""},
			{byAdmin(), "", nil, "open", 0, []string{turned, "changed c:conversation_updated status snoozed_until updated_at", note}, "Conversation was reopened by Rui Costa"},
		},
		"as it is":           {{byAdmin(), "open", nil, "open", 0, nil, ""}},
		"a time for nothing": {{byAdmin(), "pending", &until, "pending", 0, []string{turned, "changed c:conversation_updated status updated_at", note}, ""}},
		"opened by an agent": {
			{byAgent(), "resolved", nil, "resolved", 0, []string{turned, "changed c:conversation_updated status waiting_since updated_at", note}, "Conversation was resolved by Mia Sole"},
			{byAgent(), "", nil, "open", 5, []string{turned, "changed c:conversation_updated status assignee_id updated_at", note, note}, "Mia Sole self-assigned this conversation"},
			{byAgent(), "open", nil, "open", 5, nil, ""},
		},
		"open, said by an agent": {{byAgent(), "open", nil, "open", 5, []string{"changed c:conversation_updated assignee_id updated_at", note}, "Mia Sole self-assigned this conversation"}},
		"by the contact": {
			{byContact(), "resolved", nil, "resolved", 0, []string{turned, "changed c:conversation_updated status waiting_since updated_at", note}, "Conversation was resolved by Ana Prado"},
			{byContact(), "resolved", nil, "resolved", 0, nil, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			d := l.desk(t)
			number := l.conversation(t, d).Number
			for i, s := range steps {
				n := l.length()
				seen, err := d.turn(t.Context(), s.by, number, s.to, s.until)
				if err != nil {
					t.Fatal(err)
				}
				if seen.Status != s.want || seen.Assignee != s.assignee {
					t.Errorf("step %d: %s, of %d", i, seen.Status, seen.Assignee)
				}
				equal(t, "events", l.since(n), s.told)
				if s.says != "" && *seen.Post.Content != s.says {
					t.Errorf("step %d says %q", i, *seen.Post.Content)
				}
				if by := l.log[l.length()-1].Data; s.by.role == roleContact && s.told != nil {
					if !by.(domain.MessageNoted).Posted.By.Contact {
						t.Errorf("step %d is by %+v", i, by)
					}
				}
			}
			orderly(t, l)
		})
	}
	l := newLedger()
	_, err := l.desk(t).turn(t.Context(), byAdmin(), 1, "gone", nil)
	if got := deskRefusal(t, err); got != "'gone' is not a valid status" {
		t.Errorf("got %q", got)
	}
}

func TestAssign(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	num := func(n int64) *int64 { return &n }
	for i, s := range []struct {
		assignee, team *int64
		to, of         int64
		told           []string
		says           string
	}{
		{num(5), num(2), 5, 0, []string{"changed c:conversation_updated assignee_id updated_at", "noted"}, "Assigned to Mia Sole by Rui Costa"},
		{nil, num(2), 5, 2, []string{"changed c:conversation_updated team_id updated_at", "noted"}, "Assigned to Billing by Rui Costa"},
		{num(5), nil, 5, 2, nil, ""},
		{num(4), nil, 4, 2, []string{"changed c:conversation_updated assignee_id updated_at", "noted"}, "Rui Costa self-assigned this conversation"},
		{num(0), nil, 0, 2, []string{"changed c:conversation_updated assignee_id updated_at", "noted"}, "Conversation unassigned by Rui Costa"},
		{nil, num(0), 0, 0, []string{"changed c:conversation_updated team_id updated_at", "noted"}, "Unassigned from Billing by Rui Costa"},
		{nil, nil, 0, 0, nil, ""},
	} {
		n := l.length()
		seen, err := d.assign(t.Context(), byAdmin(), number, s.assignee, s.team)
		if err != nil {
			t.Fatal(err)
		}
		if seen.Assignee != s.to || seen.Team != s.of || s.says != "" && *seen.Post.Content != s.says {
			t.Errorf("step %d: to %d of %d, %q", i, seen.Assignee, seen.Team, *seen.Post.Content)
		}
		equal(t, "events", l.since(n), s.told)
	}
	if _, err := d.assign(t.Context(), byAdmin(), number, num(77), nil); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("to nobody: %v", err)
	}
	if _, err := d.assign(t.Context(), byAdmin(), number, nil, num(77)); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("to no team: %v", err)
	}
	if _, err := d.assign(t.Context(), byAdmin(), number, num(5), nil); err != nil {
		t.Fatal(err)
	}
	n, _ := domain.NoticeOf(l.log[l.length()-2])
	if n.Scene.Assignee == nil || n.Scene.Assignee.Name != "Mia Sole" || n.Changes[0].Previous != nil || n.Changes[0].Current != int64(5) {
		t.Errorf("told %+v of %+v", n.Changes, n.Scene.Assignee)
	}
	if seen, err := d.seen(t.Context(), byAgent(), number); err != nil || seen.AssigneeSeenAt == nil {
		t.Errorf("seen by the assignee: %+v, %v", seen.Ticket, err)
	}
	orderly(t, l)
}

func TestLabelsPriorityAndCustom(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	n := l.length()
	seen, err := d.label(t.Context(), byAdmin(), number, []string{"vip", " billing ", "vip", ""})
	if err != nil || !slices.Equal(seen.Labels, []string{"billing", "vip"}) || *seen.Post.Content != "Rui Costa added billing, vip" {
		t.Errorf("got %v, %v", seen.Labels, err)
	}
	if seen, err = d.label(t.Context(), byAdmin(), number, []string{"vip", "new"}); err != nil || *seen.Post.Content != "Rui Costa removed billing" {
		t.Errorf("got %v, %v", seen.Labels, err)
	}
	if seen, err = d.setPriority(t.Context(), byAdmin(), number, "high"); err != nil || seen.Priority != "high" {
		t.Errorf("got %v, %v", seen.Priority, err)
	}
	if seen, err = d.setPriority(t.Context(), byAdmin(), number, "low"); err != nil || *seen.Post.Content != "Rui Costa changed the priority from high to low" {
		t.Errorf("got %v, %v", *seen.Post.Content, err)
	}
	if seen, err = d.setPriority(t.Context(), byAdmin(), number, ""); err != nil || seen.Priority != "" {
		t.Errorf("got %v, %v", seen.Priority, err)
	}
	if seen, err = d.setCustom(t.Context(), byAdmin(), number, domain.Object{"plan": "gold", "n": 1}); err != nil || seen.Custom["n"] != float64(1) {
		t.Errorf("got %v, %v", seen.Custom, err)
	}
	if seen, err = d.setCustom(t.Context(), byAdmin(), number, domain.Object{"tier": 2}); err != nil || len(seen.Custom) != 1 {
		t.Errorf("got %v, %v", seen.Custom, err)
	}
	equal(t, "events", l.since(n), []string{
		"changed c:conversation_updated label_list updated_at", "noted",
		"changed c:conversation_updated label_list updated_at", "noted", "noted",
		"changed c:conversation_updated priority updated_at", "noted",
		"changed c:conversation_updated priority updated_at", "noted",
		"changed c:conversation_updated priority updated_at", "noted",
		"changed c:conversation_updated custom_attributes updated_at",
		"changed c:conversation_updated custom_attributes updated_at",
	})
	_, err = d.setPriority(t.Context(), byAdmin(), number, "odd")
	if got := deskRefusal(t, err); got != "'odd' is not a valid priority" {
		t.Errorf("got %q", got)
	}
	_, err = d.setCustom(t.Context(), byAdmin(), number, domain.Object{"a": strings.Repeat("é", 1501), "b": 10_000_000_000, "c": strings.Repeat("é", 1500)})
	if got := deskRefusal(t, err); got != "Custom attributes a length should be < 1500, Custom attributes b value should be < 9999999999" {
		t.Errorf("got %q", got)
	}
	_, err = d.label(t.Context(), byAdmin(), number, []string{strings.Repeat("x", 256)})
	deskRefusal(t, err)
	orderly(t, l)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	p, i := l.ana(t, d)
	n := l.length()
	seen, err := d.open(t.Context(), byAdmin(), ticketInput{SourceID: i.SourceID, Assignee: 5, Team: 2, Custom: domain.Object{"a": 1}})
	if err != nil || seen.Number != 1 || seen.Status != domain.TicketOpen || seen.WaitingSince == nil || seen.Identity.ID != i.ID ||
		seen.Assignee != 5 || seen.Team != 2 || seen.Person.ID != p.ID || seen.ID != domain.TicketID("acme", 1) {
		t.Fatalf("got %+v, %v", seen, err)
	}
	equal(t, "a ticket", l.since(n), []string{"opened c:conversation_created"})

	n = l.length()
	hello := outgoing("hello")
	if seen, err = d.open(t.Context(), byAdmin(), ticketInput{Channel: l.bridge(), Person: p.ID, Message: &hello}); err != nil || *seen.Public.Content != "hello" {
		t.Fatalf("got %+v, %v", seen, err)
	}
	equal(t, "one with an identity and a message", l.since(n), []string{
		"linked", "opened c:conversation_created", "sent c:message_created",
		"changed c:conversation_updated waiting_since first_reply_created_at updated_at",
	})
	if seen.Identity.ID == i.ID || seen.Identity.TokenHash == "" || len(seen.Identity.SourceID) != 36 {
		t.Errorf("its identity is %+v", seen.Identity)
	}

	n = l.length()
	ext := ticketInput{Channel: l.bridge(), Person: p.ID, SourceID: "ext-ana", Status: domain.TicketPending}
	if seen, err = d.open(t.Context(), byAdmin(), ext); err != nil || seen.Status != domain.TicketPending || seen.Number != 3 {
		t.Fatalf("got %+v, %v", seen, err)
	}
	if seen, err = d.open(t.Context(), byAdmin(), ext); err != nil || seen.Number != 4 {
		t.Fatalf("got %+v, %v", seen, err)
	}
	equal(t, "two of one source id", l.since(n), []string{"linked", "opened c:conversation_created", "opened c:conversation_created"})

	other, _, err := d.registerPerson(t.Context(), byAdmin(), personInput{Name: "Bo"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n = l.length()
	for name, c := range map[string]struct {
		in   ticketInput
		want string
	}{
		"somebody else's source id": {ticketInput{Channel: l.bridge(), Person: other.ID, SourceID: "ext-ana"}, "source_id should be unique"},
		"an unknown status":         {ticketInput{SourceID: i.SourceID, Status: "odd"}, "'odd' is not a valid status"},
		"an attribute that is long": {
			ticketInput{SourceID: i.SourceID, Additional: domain.Object{"a": strings.Repeat("x", 1501)}}, "Additional attributes a length should be < 1500",
		},
	} {
		_, err := d.open(t.Context(), byAdmin(), c.in)
		if got := deskRefusal(t, err); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, in := range map[string]ticketInput{
		"no such source id": {SourceID: "nope"}, "only a person": {Person: p.ID}, "only a channel": {Channel: l.bridge()}, "nothing": {},
		"no such person": {Channel: l.bridge(), Person: 99}, "no such operator": {SourceID: i.SourceID, Assignee: 99}, "no such identity": {Identity: 99},
	} {
		if _, err := d.open(t.Context(), byAdmin(), in); domain.CodeOf(err) != domain.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.length() != n || l.last["ticket"] != 4 {
		t.Errorf("something happened: %v, %d", l.since(n), l.last["ticket"])
	}
	elsewhere := byAgent()
	elsewhere.channels = []string{"second"}
	if _, err := d.open(t.Context(), elsewhere, ext); err != errNoRight { //nolint:errorlint // as it is
		t.Errorf("without the right: %v", err)
	}
	orderly(t, l)
}

func TestOpenKeepsToOneConversation(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.change("bridge", func(ch *domain.Channel) { ch.Inbox.LockToSingle = true })
	d := l.desk(t)
	ticket := l.conversation(t, d)
	if _, err := d.turn(t.Context(), byAdmin(), ticket.Number, domain.TicketResolved, nil); err != nil {
		t.Fatal(err)
	}
	n := l.length()
	in := ticketInput{SourceID: ticket.Identity.SourceID, Status: domain.TicketPending, Custom: domain.Object{"a": 1}}
	seen, err := d.open(t.Context(), byAdmin(), in)
	if err != nil || seen.Number != ticket.Number || seen.Status != domain.TicketResolved || l.length() != n {
		t.Errorf("got %+v, %v: %v", seen.Ticket, err, l.since(n))
	}
	hi := incoming("hi")
	in.Message = &hi
	if seen, err = d.open(t.Context(), byAdmin(), in); err != nil || seen.Number != ticket.Number || seen.Status != domain.TicketOpen {
		t.Errorf("got %+v, %v", seen.Ticket, err)
	}
	// Another identity of the same person has a conversation of its own.
	if seen, err = d.open(t.Context(), byAdmin(), ticketInput{Channel: l.bridge(), Person: ticket.Person.ID, SourceID: "another"}); err != nil || seen.Number != 2 {
		t.Errorf("got %+v, %v", seen.Ticket, err)
	}
	orderly(t, l)
}

func TestInboxAnswersByItself(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.change("bridge", func(ch *domain.Channel) {
		ch.Inbox.Greeting, ch.Inbox.GreetingMessage, ch.Inbox.OutOfOffice = true, "Welcome", "Back at nine"
	})
	d := l.desk(t)
	first := l.conversation(t, d)
	n := l.length()
	p, _ := says(t, d, byContact(), first.Number, incoming("hi"))
	says(t, d, byContact(), first.Number, incoming("are you there?"))
	equal(t, "a greeting", l.since(n), []string{"received c:message_created", "sent c:message_created", "received c:message_created"})
	if sent, ok := l.log[n+1].Data.(domain.MessageSent); !ok || sent.Posted.Post.Type != domain.PostTemplate || *sent.Posted.Post.Content != "Welcome" ||
		sent.Posted.Post.ID <= p.ID || sent.Posted.Scene.Ticket.WaitingSince == nil || sent.Posted.Scene.Ticket.FirstReplyAt != nil {
		t.Errorf("the greeting is %+v", sent)
	}
	open := func() int64 {
		seen, err := d.open(t.Context(), byAdmin(), ticketInput{SourceID: first.Identity.SourceID})
		if err != nil {
			t.Fatal(err)
		}
		return seen.Number
	}
	number := open()
	says(t, d, byAdmin(), number, outgoing("we wrote first"))
	n = l.length()
	says(t, d, byContact(), number, incoming("oh"))
	equal(t, "no greeting", l.since(n), []string{"received c:message_created", "changed c:conversation_updated waiting_since updated_at"})

	// It is noon on a Monday; the inbox is open in the morning.
	l.change("bridge", func(ch *domain.Channel) {
		ch.Inbox.WorkingHours, ch.Inbox.Hours = true, []domain.Hours{{Day: 1, OpenHour: 8, CloseHour: 11}, {Day: 2, ClosedAll: true}}
	})
	answered := func(number int64) string {
		n := l.length()
		says(t, d, byContact(), number, incoming("?"))
		for _, r := range l.log[n:] {
			if sent, ok := r.Data.(domain.MessageSent); ok {
				return *sent.Posted.Post.Content
			}
		}
		return ""
	}
	if got := answered(number); got != "" {
		t.Errorf("just after an operator: %q", got)
	}
	l.pass(6 * time.Minute)
	if got := answered(number); got != "Back at nine" {
		t.Errorf("out of hours: %q", got)
	}
	if got := answered(number); got != "" {
		t.Errorf("again: %q", got)
	}
	l.pass(24 * time.Hour)
	if got := answered(number); got != "Back at nine" {
		t.Errorf("on the next day: %q", got)
	}
	if got := answered(open()); got != "Back at nine" {
		t.Errorf("a new ticket: %q", got)
	}
	orderly(t, l)
}
