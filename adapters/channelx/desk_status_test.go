package channelx

import (
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

func TestStatusOfAPost(t *testing.T) {
	t.Parallel()
	type word struct {
		status string
		why    *string
		want   domain.Status
		error  any
		told   bool
	}
	for name, words := range map[string][]word{
		"on its way":              {{"delivered", nil, "delivered", nil, true}, {"read", nil, "read", nil, true}, {"delivered", nil, "read", nil, false}},
		"unknown":                 {{"bogus", nil, "sent", nil, false}, {"", nil, "sent", nil, false}, {"queued", nil, "sent", nil, false}},
		"nothing new":             {{"sent", nil, "sent", nil, false}},
		"failed, then not":        {{"failed", new("no route"), "failed", "no route", true}, {"sent", nil, "sent", nil, true}},
		"failed for two reasons":  {{"failed", new("a"), "failed", "a", true}, {"failed", new("a"), "failed", "a", false}, {"failed", new("b"), "failed", "b", true}, {"failed", nil, "failed", nil, true}},
		"a reason for no failure": {{"delivered", new("odd"), "delivered", nil, true}},
		"read, then sent":         {{"read", nil, "read", nil, true}, {"sent", nil, "sent", nil, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			d := l.desk(t)
			number := l.conversation(t, d).Number
			in := outgoing("hello")
			in.Attributes = domain.Object{"kept": true}
			p, before := says(t, d, byAdmin(), number, in)
			for i, w := range words {
				n := l.length()
				got, seen, err := d.setStatus(t.Context(), byAdmin(), number, p.ID, w.status, w.why)
				if err != nil {
					t.Fatal(err)
				}
				if got.Status != w.want || got.Attributes[domain.ExternalError] != w.error || got.Attributes["kept"] != true {
					t.Errorf("word %d: %s %v", i, got.Status, got.Attributes)
				}
				if told := l.length() > n; told != w.told || seen.Revision != before.Revision {
					t.Errorf("word %d: told %v, ticket at %d", i, l.since(n), seen.Revision)
				}
			}
			orderly(t, l)
		})
	}
}

func TestStatusIsTold(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.hooks = []domain.Webhook{{Number: 2, Events: []string{"message_created"}}, {Number: 1, Channel: "bridge"}, {Number: 3, Channel: "second"}}
	d := l.desk(t)
	number := l.conversation(t, d).Number
	p, _ := says(t, d, byAdmin(), number, outgoing("hello"))
	n := l.length()
	if _, _, err := d.setStatus(t.Context(), byAdmin(), number, p.ID, "failed", new("no route")); err != nil {
		t.Fatal(err)
	}
	equal(t, "a failure", l.since(n), []string{"altered c:message_updated w:message_updated status content_attributes updated_at"})
	changed := l.log[n].Data.(domain.MessageChanged)
	equal(t, "its targets", changed.Posted.Targets, []string{"", "hook~acme~1"})
	if c := changed.Posted.Changes[0]; c.Previous != "sent" || c.Current != "failed" {
		t.Errorf("the change is %+v", c)
	}
}

func TestDeleteLeavesThePlace(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	in := postInput{Type: domain.PostOutgoing, Content: new("oops"), ContentType: "article", Attributes: domain.Object{
		"items": []any{map[string]any{"title": "Terms"}}, "in_reply_to": 1,
	}, Files: []domain.PostFile{{Kind: "file", Name: "a.pdf"}}}
	p, _ := says(t, d, byAdmin(), number, in)
	n := l.length()
	got, _, err := d.deletePost(t.Context(), byAdmin(), number, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if *got.Content != "This message was deleted" || got.ContentType != "text" || len(got.Attributes) != 1 || got.Attributes["deleted"] != true ||
		got.Files != nil || got.ID != p.ID || got.Revision != 2 {
		t.Errorf("got %+v", got)
	}
	equal(t, "deleting", l.since(n), []string{"altered c:message_updated content content_type content_attributes updated_at"})
	n = l.length()
	if _, _, err := d.deletePost(t.Context(), byAdmin(), number, p.ID); err != nil || l.length() != n {
		t.Errorf("deleting again: %v %v", l.since(n), err)
	}
	if _, _, err := d.retryPost(t.Context(), byAdmin(), number, p.ID); err != nil || l.length() != n {
		t.Errorf("retrying what is deleted: %v %v", l.since(n), err)
	}
	if _, _, err := d.deletePost(t.Context(), byAdmin(), number, 999); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("deleting nothing: %v", err)
	}
}

func TestRetryGoesToTheCallbackAgain(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.hooks = []domain.Webhook{{Number: 1}}
	d := l.desk(t)
	number := l.conversation(t, d).Number
	p, _ := says(t, d, byAdmin(), number, outgoing("hello"))
	first := domain.NoticesOf(l.log[l.length()-2])
	if _, _, err := d.setStatus(t.Context(), byAdmin(), number, p.ID, "failed", new("500 Internal Server Error")); err != nil {
		t.Fatal(err)
	}
	n := l.length()
	got, _, err := d.retryPost(t.Context(), byAgent(), number, p.ID)
	if err != nil || got.Status != domain.StatusSent || len(got.Attributes) != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	equal(t, "a retry", l.since(n), []string{
		"altered c:message_updated w:message_updated status content_attributes updated_at", "altered c:message_created",
	})
	again := domain.NoticesOf(l.log[n+1])
	if len(again) != 1 || again[0].ID == first[0].ID || again[0].MessageID != p.Message || again[0].Subject.Notice.Post.ID != p.ID {
		t.Errorf("the delivery is %+v", again)
	}
	if _, ok := domain.NoticeOf(l.log[n+1]); ok {
		t.Error("sockets are told of a new message")
	}
	// What has not failed goes out again, too; without a callback nothing does.
	n = l.length()
	if _, _, err := d.retryPost(t.Context(), byAgent(), number, p.ID); err != nil {
		t.Fatal(err)
	}
	equal(t, "another", l.since(n), []string{"altered c:message_created"})
	l.change("bridge", func(ch *domain.Channel) { ch.CallbackURL = " " })
	n = l.length()
	if _, _, err := d.retryPost(t.Context(), byAgent(), number, p.ID); err != nil || l.length() != n {
		t.Errorf("without a callback: %v %v", l.since(n), err)
	}
	orderly(t, l)
}

func TestSubmittedValuesAreKept(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	number := l.conversation(t, d).Number
	p, _ := says(t, d, byAdmin(), number, postInput{
		Type: domain.PostOutgoing, ContentType: "input_select",
		Attributes: domain.Object{"items": []any{map[string]any{"title": "Yes", "value": "y"}}},
	})
	values := []domain.Object{{"title": "Yes", "value": "y"}}
	got, _, err := d.submit(t.Context(), byContact(), number, p.ID, values)
	list, _ := got.Attributes["submitted_values"].([]any)
	if err != nil || len(list) != 1 || list[0].(map[string]any)["title"] != "Yes" || got.Attributes["items"] == nil {
		t.Fatalf("got %+v, %v", got.Attributes, err)
	}
	n := l.length()
	if _, _, err := d.submit(t.Context(), byContact(), number, p.ID, values); err != nil || l.length() != n {
		t.Errorf("the same again: %v, %v", l.since(n), err)
	}
	_, _, err = d.submit(t.Context(), byContact(), number, p.ID, []domain.Object{{"value": strings.Repeat("x", maxObject)}})
	if got := deskRefusal(t, err); got != "Submitted values is too long" {
		t.Errorf("got %q", got)
	}
}

func TestContactSeenReadsAllThatWasSaid(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	d.PostsPerMinute = 1000
	number := l.conversation(t, d).Number
	const said = 2*readAtOnce + 30
	var failed int64
	for i := range said {
		p, _ := says(t, d, byAdmin(), number, outgoing("x"))
		if i == 3 {
			failed = p.ID
		}
	}
	if _, _, err := d.setStatus(t.Context(), byAdmin(), number, failed, "failed", nil); err != nil {
		t.Fatal(err)
	}
	mine, _ := says(t, d, byContact(), number, incoming("read them all"))
	note, _ := says(t, d, byAdmin(), number, postInput{Type: domain.PostOutgoing, Private: true})
	n := l.length()
	seen, err := d.contactSeen(t.Context(), byContact(), number)
	if err != nil || seen.ContactSeenAt == nil {
		t.Fatalf("got %+v, %v", seen.Ticket, err)
	}
	read := 0
	for _, p := range l.posts {
		if p.Status == domain.StatusRead {
			read++
		}
	}
	if read != said-1 || l.posts[failed].Status != domain.StatusFailed || l.posts[mine.ID].Status != domain.StatusSent || l.posts[note.ID].Status != domain.StatusSent {
		t.Errorf("%d are read", read)
	}
	lines := l.since(n)
	equal(t, "the beginning", lines[:2], []string{"changed", "altered c:message_updated status updated_at"})
	n = l.length()
	if _, err := d.contactSeen(t.Context(), byContact(), number); err != nil {
		t.Fatal(err)
	}
	equal(t, "another look", l.since(n), []string{"changed"})
	orderly(t, l)
}

func TestTypingWaitsForNobody(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.hooks = []domain.Webhook{{Number: 1}, {Number: 2, Events: []string{"conversation_typing_on"}}}
	d := l.desk(t)
	number := l.conversation(t, d).Number
	n := l.length()
	if err := d.typing(t.Context(), byContact(), number, true, false); err != nil {
		t.Fatal(err)
	}
	if err := d.typing(t.Context(), byAgent(), number, false, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "typing", l.since(n), []string{"typing c:conversation_typing_on w:conversation_typing_on", "typing c:conversation_typing_off"})
	if e := l.log[n].Data.(domain.TypingNoticed); !e.By.Contact || e.Private {
		t.Errorf("got %+v", e.By)
	}
	if err := d.typing(t.Context(), byAgent(), 99, true, false); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("nowhere: %v", err)
	}
}
