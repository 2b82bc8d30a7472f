package channelx

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

func TestPostTellsWhatChanged(t *testing.T) {
	t.Parallel()
	resolved := func(t *testing.T, d *desk, number int64) {
		t.Helper()
		if _, err := d.turn(t.Context(), byAdmin(), number, domain.TicketResolved, nil); err != nil {
			t.Fatal(err)
		}
	}
	answered := func(t *testing.T, d *desk, number int64) {
		t.Helper()
		says(t, d, byAdmin(), number, outgoing("hello"))
	}
	for name, c := range map[string]struct {
		before func(*testing.T, *desk, int64)
		by     actor
		in     postInput
		want   []string
	}{
		"a contact writes": {by: byContact(), in: incoming("hi"), want: []string{"received c:message_created"}},
		"an operator answers first": {by: byAgent(), in: outgoing("hello"), want: []string{
			"sent c:message_created", "changed c:conversation_updated waiting_since first_reply_created_at updated_at",
		}},
		"an operator answers again": {
			before: answered,
			by:     byAdmin(), in: outgoing("still there?"), want: []string{"sent c:message_created"},
		},
		"a contact writes after an answer": {
			before: answered,
			by:     byAdmin(), in: incoming("yes"), want: []string{
				"received c:message_created", "changed c:conversation_updated waiting_since updated_at",
			},
		},
		"a contact writes to what is resolved": {before: resolved, by: byContact(), in: incoming("me again"), want: []string{
			"turned c:conversation_status_changed status",
			"changed c:conversation_updated status waiting_since updated_at",
			"received c:message_created", "noted",
		}},
		"an operator writes to what is resolved": {before: resolved, by: byAdmin(), in: outgoing("bye"), want: []string{
			"sent c:message_created", "changed c:conversation_updated first_reply_created_at updated_at",
		}},
		"a note": {by: byAgent(), in: postInput{Type: domain.PostOutgoing, Private: true, Content: new("a difficult one")}, want: []string{
			"noted c:message_created",
		}},
		"a note to what is resolved": {
			before: resolved, by: byAgent(), in: postInput{Type: domain.PostIncoming, Private: true}, want: []string{"noted c:message_created"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			d := l.desk(t)
			number := l.conversation(t, d).Number
			if c.before != nil {
				c.before(t, d, number)
			}
			n := l.length()
			says(t, d, c.by, number, c.in)
			equal(t, "events", l.since(n), c.want)
			orderly(t, l)
		})
	}
}

func TestPostOfAContactReopensAndIsCounted(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	if _, err := d.turn(t.Context(), byAdmin(), number, domain.TicketSnoozed, nil); err != nil {
		t.Fatal(err)
	}
	p, seen := says(t, d, byContact(), number, incoming("anybody?"))
	if seen.Status != domain.TicketOpen || seen.Unread != 1 || seen.WaitingSince == nil || seen.LastPublic != p.ID || seen.LastPost <= p.ID {
		t.Errorf("the ticket is %+v", seen.Ticket)
	}
	if seen.Post == nil || seen.Post.Type != domain.PostActivity || *seen.Post.Content != "Conversation was reopened by Ana Prado" {
		t.Errorf("the activity is %+v", seen.Post)
	}
	if !p.By.Contact || p.Status != domain.StatusSent || p.Revision != 1 {
		t.Errorf("the post is %+v", p)
	}
	for range 12 {
		_, seen = says(t, d, byContact(), number, incoming("?"))
	}
	if seen.Unread != domain.MaxUnread {
		t.Errorf("unread is %d", seen.Unread)
	}
	if seen, err := d.seen(t.Context(), byAdmin(), number); err != nil || seen.Unread != 0 || seen.AgentSeenAt == nil {
		t.Errorf("after a look: %+v, %v", seen.Ticket, err)
	}
	n := l.length()
	seen, err := d.unseen(t.Context(), byAdmin(), number)
	if err != nil || seen.Unread == 0 || !seen.AgentSeenAt.Before(*seen.LastIncomingAt) {
		t.Errorf("unseen again: %+v, %v", seen.Ticket, err)
	}
	equal(t, "telling of a look", l.since(n), []string{"changed"})
}

func TestPostOfABlockedContactReopensNothing(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	p, i := l.ana(t, d)
	blocked := true
	if _, err := d.changePerson(t.Context(), byAdmin(), p.ID, personChange{Blocked: &blocked}); err != nil {
		t.Fatal(err)
	}
	ticket, err := d.open(t.Context(), byContact(), ticketInput{Identity: i.ID})
	if err != nil || ticket.Status != domain.TicketResolved {
		t.Fatalf("a new ticket is %+v, %v", ticket.Ticket, err)
	}
	l.change("bridge", func(ch *domain.Channel) { ch.Inbox.Greeting, ch.Inbox.GreetingMessage = true, "Welcome" })
	_, seen := says(t, d, byContact(), ticket.Number, incoming("let me in"))
	if seen.Status != domain.TicketResolved || seen.Post.Type != domain.PostIncoming {
		t.Errorf("it is %+v", seen.Ticket)
	}
}

func TestPostIsKeptOnceUnderItsKey(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	in := incoming("once")
	in.Key = "tmp-1"
	first, _ := says(t, d, byContact(), number, in)
	n := l.length()
	in.Content = new("twice")
	again, seen := says(t, d, byContact(), number, in)
	if again.ID != first.ID || *again.Content != "once" || l.length() != n || seen.Number != number {
		t.Errorf("got %+v after %+v", again, first)
	}
	in.Key = ""
	if third, _ := says(t, d, byContact(), number, in); third.ID <= first.ID {
		t.Errorf("without a key: %+v", third)
	}
}

func TestPostWhoseAppendIsInDoubtIsFoundByItsKey(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	in := outgoing("it ships today")
	in.Key = "once"
	l.appending, l.landing = func([]domain.Event) error { return fmt.Errorf("no answer in time") }, true
	if _, _, err := d.post(t.Context(), byAdmin(), number, in); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Fatalf("got %v", err)
	}
	l.appending = nil
	n := l.length()
	p, _ := says(t, d, byAdmin(), number, in)
	if *p.Content != "it ships today" || l.length() != n {
		t.Errorf("it is said again: %v", l.since(n))
	}
}

func TestPostLinksToWhatItAnswers(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	in := incoming("is my order out yet?")
	in.SourceID = "ext-881"
	asked, _ := says(t, d, byContact(), number, in)
	plainly, _ := says(t, d, byContact(), number, incoming("hello?"))
	for name, c := range map[string]struct {
		given        domain.Object
		id, external any
	}{
		"by id":                  {domain.Object{"in_reply_to": asked.ID}, float64(asked.ID), "ext-881"},
		"by id as a text":        {domain.Object{"in_reply_to": fmt.Sprint(asked.ID)}, float64(asked.ID), "ext-881"},
		"by source id":           {domain.Object{"in_reply_to_external_id": "ext-881"}, float64(asked.ID), "ext-881"},
		"to one without":         {domain.Object{"in_reply_to": plainly.ID}, float64(plainly.ID), nil},
		"to nothing":             {domain.Object{"in_reply_to": 9999}, nil, nil},
		"to nothing by source":   {domain.Object{"in_reply_to_external_id": "nope"}, nil, nil},
		"the id is tried first":  {domain.Object{"in_reply_to": plainly.ID, "in_reply_to_external_id": "ext-881"}, float64(plainly.ID), nil},
		"and the source id then": {domain.Object{"in_reply_to": 9999, "in_reply_to_external_id": "ext-881"}, float64(asked.ID), "ext-881"},
	} {
		in := outgoing("out for delivery")
		in.Attributes = c.given.With(domain.Object{"extra": "kept"})
		p, _ := says(t, d, byAdmin(), number, in)
		got := p.Attributes
		if got["in_reply_to"] != c.id || got["in_reply_to_external_id"] != c.external || got["extra"] != "kept" {
			t.Errorf("%s: got %v", name, got)
		}
		if _, ok := got["in_reply_to"]; !ok {
			t.Errorf("%s: no member", name)
		}
	}
	if p, _ := says(t, d, byAdmin(), number, outgoing("no link")); len(p.Attributes) != 0 {
		t.Errorf("got %v", p.Attributes)
	}
}

func TestPostIsRefused(t *testing.T) {
	t.Parallel()
	files := make([]domain.PostFile, 16)
	items := func(list ...any) domain.Object { return domain.Object{"items": list} }
	for name, c := range map[string]struct {
		in   postInput
		want string
	}{
		"long":              {outgoing(strings.Repeat("é", 150_001)), "Content is too long (maximum is 150000 characters)"},
		"a long source id":  {postInput{SourceID: strings.Repeat("x", 20_001)}, "Source is too long (maximum is 20000 characters)"},
		"too many files":    {postInput{Files: files}, "Attachments exceeded maximum allowed"},
		"no items":          {postInput{ContentType: "input_select"}, "Content attributes At least one item is required."},
		"items of no sense": {postInput{ContentType: "form", Attributes: items("x")}, "Content attributes Items should be a hash."},
		"an unknown member": {
			postInput{ContentType: "input_select", Attributes: items(map[string]any{"title": "Yes", "colour": "red"})},
			"Content attributes contains invalid keys for items : colour",
		},
		"a card without actions": {
			postInput{ContentType: "cards", Attributes: items(map[string]any{"title": "Yes"})}, "Content attributes contains items missing actions",
		},
		"both": {
			postInput{Content: new(strings.Repeat("x", 150_001)), SourceID: strings.Repeat("x", 20_001)},
			"Content is too long (maximum is 150000 characters), Source is too long (maximum is 20000 characters)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			d := l.desk(t)
			number := l.conversation(t, d).Number
			n := l.length()
			_, _, err := d.post(t.Context(), byAdmin(), number, c.in)
			if got := deskRefusal(t, err); got != "Validation failed: "+c.want {
				t.Errorf("an operator is told %q", got)
			}
			_, _, err = d.post(t.Context(), byContact(), number, c.in)
			if record, ok := err.(invalidRecord); !ok || record.Error() != c.want || len(record.Attributes) == 0 { //nolint:errorlint // as it is
				t.Errorf("a contact is told %#v", err)
			}
			_, err = d.open(t.Context(), byAdmin(), ticketInput{Channel: l.bridge(), Person: 1, Message: &c.in})
			if got := deskRefusal(t, err); got != "Validation failed: "+c.want {
				t.Errorf("with a new ticket: %q", got)
			}
			if l.length() != n || l.last["ticket"] != number {
				t.Errorf("something happened: %v", l.since(n))
			}
		})
	}
	l := newLedger()
	d := l.desk(t)
	_, _, err := d.post(t.Context(), byAdmin(), 1, postInput{ContentType: "poem"})
	if got := deskRefusal(t, err); got != "'poem' is not a valid content_type" {
		t.Errorf("got %q", got)
	}
	fits := strings.Repeat("é", 150_000)
	if _, err := outgoing(fits).checked(byAdmin()); err != nil {
		t.Errorf("what just fits: %v", err)
	}
}

func TestPostsAreNotTooMany(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	d.PostsPerMinute = 3
	number := l.conversation(t, d).Number
	for range 3 {
		says(t, d, byContact(), number, incoming("x"))
	}
	_, _, err := d.post(t.Context(), byAdmin(), number, outgoing("x"))
	if got := deskRefusal(t, err); got != "Validation failed: Too many messages" {
		t.Errorf("got %q", got)
	}
	_, _, err = d.post(t.Context(), byContact(), number, incoming("x"))
	if got := deskRefusal(t, err); got != "Too many messages" {
		t.Errorf("got %q", got)
	}
	l.pass(time.Minute)
	says(t, d, byContact(), number, incoming("x"))
}

func TestPostIsOfThePlatformToo(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	ticket := l.conversation(t, d)
	in := incoming("look")
	in.EchoID, in.SourceID = "tmp-9", "ext-1"
	in.Files = []domain.PostFile{{Kind: "image", Name: "a.png", ContentType: "image/png", URL: "https://files.example.com/a.png", Size: 5}}
	p, _ := says(t, d, byContact(), ticket.Number, in)
	e := l.log[l.length()-1]
	got, ok := e.Data.(domain.MessageReceived)
	if !ok {
		t.Fatalf("the event is %T", e.Data)
	}
	if p.Files[0].ID == 0 || p.Status != domain.StatusSent {
		t.Errorf("the post is %+v", p)
	}
	if got.ConversationID != ticket.ID || got.ExternalID != "ext-1" || got.ContactID != domain.ContactID("bridge", ticket.Identity.Ref()) ||
		got.MessageID != p.Message || e.ID != p.Message || got.Posted.EchoID != "tmp-9" || got.Profile.DisplayName != "Ana Prado" {
		t.Errorf("the event is %+v", got)
	}
	if err := got.Content.Validate("", domain.Limits{Text: maxContent, URL: 2000, MimeType: 255, FileName: 256, Items: maxFiles}); err != nil {
		t.Errorf("its content: %v", err)
	}
	if e.Stream() != "bridge/"+ticket.Identity.SourceID || e.PartitionKey() != "account/acme" {
		t.Errorf("it is on %s in %s", e.Stream(), e.PartitionKey())
	}
	p, _ = says(t, d, byContact(), ticket.Number, incoming("no source"))
	if got := l.log[l.length()-1].Data.(domain.MessageReceived); got.ExternalID != fmt.Sprint(p.ID) {
		t.Errorf("its external id is %s", got.ExternalID)
	}
	says(t, d, byAgent(), ticket.Number, outgoing("thanks"))
	for _, r := range l.log[l.length()-2:] {
		if sent, ok := r.Data.(domain.MessageSent); ok && (sent.Author != "Mia Sole" || sent.Posted.Scene.Public.ID != sent.Posted.Post.ID) {
			t.Errorf("the event is %+v", sent)
		}
	}
}

func TestPostsGrowWhoeverNumbersThem(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.nodes = true
	d := l.desk(t)
	number := l.conversation(t, d).Number
	for range 6 {
		says(t, d, byContact(), number, incoming("hi"))
	}
	orderly(t, l)
}

func TestSceneShowsTheNewestPublicPost(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	public, _ := says(t, d, byContact(), number, incoming("hi"))
	says(t, d, byAdmin(), number, postInput{Type: domain.PostOutgoing, Private: true, Content: new("secret")})
	if _, err := d.turn(t.Context(), byAdmin(), number, domain.TicketResolved, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range l.log[l.length()-4:] {
		n, _ := domain.NoticeOf(r)
		if n.Scene.Public == nil || n.Scene.Public.ID != public.ID {
			t.Errorf("%s shows %+v", line(r), n.Scene.Public)
		}
	}
	if _, _, err := d.setStatus(t.Context(), byAdmin(), number, public.ID, "delivered", nil); err != nil {
		t.Fatal(err)
	}
	if n, _ := domain.NoticeOf(l.log[l.length()-1]); n.Scene.Public.Status != domain.StatusDelivered {
		t.Errorf("it is shown as %s", n.Scene.Public.Status)
	}
}
