package channelx

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// platformLedger is a ledger that knows tickets by what the platform asks for.
type platformLedger struct{ *ledger }

// TicketNumber implements ticketNumbers.
func (l platformLedger) TicketNumber(_ context.Context, account string, id uuid.UUID) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number := range l.tickets {
		if domain.TicketID(account, number) == id {
			return number, nil
		}
	}
	return 0, domain.Errorf(domain.CodeNotFound, "there is no such conversation")
}

// TicketNumbers implements ticketNumbers.
func (l platformLedger) TicketNumbers(ctx context.Context, account string, ids []uuid.UUID) ([]int64, error) {
	var numbers []int64
	for _, id := range ids {
		if number, err := l.TicketNumber(ctx, account, id); err == nil {
			numbers = append(numbers, number)
		}
	}
	return numbers, nil
}

// Tickets implements tickets as far as Platform asks.
func (l platformLedger) Tickets(ctx context.Context, q domain.TicketQuery) ([]domain.TicketSeen, error) {
	if q.IDs != nil {
		return l.ledger.Tickets(ctx, q)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var newest []domain.TicketSeen
	for number, t := range l.tickets {
		if t.IdentityID == q.Identity && slices.Contains(q.Statuses, t.Status) && (newest == nil || number > newest[0].Number) {
			seen, err := l.ticket(number)
			if err != nil {
				return nil, err
			}
			newest = []domain.TicketSeen{seen}
		}
	}
	return newest, nil
}

// onPlatform is the platform's way to a desk, with a ticket of Ana Prado.
func onPlatform(t *testing.T) (platformLedger, Platform, domain.TicketSeen) {
	t.Helper()
	l := newLedger()
	d := l.desk(t)
	ticket := l.conversation(t, d)
	world := platformLedger{l}
	door := &Door{Config: Config{Directory: l, People: l, Tickets: world, Freshness: l}, desk: d}
	return world, door.Platform(world), ticket
}

// Tokens of programs.
var (
	platformAdmin  = domain.Token{ID: "t1", Account: "acme", Name: "backoffice", Role: domain.RoleAdmin}
	platformAgent  = domain.Token{ID: "t2", Account: "acme", Name: "desktop", Role: domain.RoleAgent, Agent: 5}
	platformNobody = domain.Token{ID: "t3", Account: "acme", Name: "desktop", Role: domain.RoleAgent, Agent: 99}
)

// Ensure a token acts as the agent that it is bound to, else as itself, and sees
// all inboxes whatever its role: the platform API knows none.
func TestPlatformActor(t *testing.T) {
	t.Parallel()
	_, p, _ := onPlatform(t)
	for _, c := range []struct {
		token domain.Token
		name  string
		agent int64
		role  string
	}{
		{platformAdmin, "backoffice", 0, roleAdministrator}, {platformAgent, "Mia Sole", 5, roleAgent}, {platformNobody, "desktop", 0, roleAgent},
	} {
		a, err := p.door.actorOf(c.token)
		if err != nil || a.operator.Name != c.name || a.agent != c.agent || a.role != c.role || a.channels != nil {
			t.Errorf("%s acts as %+v, %v", c.token.ID, a, err)
		}
	}
}

// Ensure that what the platform asks for is what the desk does, and that one key is
// one message there, and none of those that integrations use.
func TestPlatform(t *testing.T) {
	t.Parallel()
	l, p, ticket := onPlatform(t)
	ctx := t.Context()
	say := domain.Content{Type: domain.ContentText, Text: "hello"}
	first, err := p.Reply(ctx, platformAgent, ticket.ID, say, "once")
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Reply(ctx, platformAgent, ticket.ID, say, "once")
	if err != nil || again != first {
		t.Errorf("one key says %s and %s (%v)", first, again, err)
	}
	other, err := p.Reply(ctx, platformAgent, ticket.ID, say, "")
	if err != nil || other == first {
		t.Errorf("without a key %s and %s (%v)", first, other, err)
	}
	var said []domain.Post
	for _, post := range l.posts {
		if post.Message == first {
			said = append(said, post)
		}
	}
	if len(said) != 1 || said[0].Key == "once" || said[0].By.Operator.ID != 5 || said[0].Type != domain.PostOutgoing {
		t.Errorf("it says %+v", said)
	}
	agent, team, nobody := int64(4), int64(2), int64(0)
	for _, c := range []struct {
		agent, team *int64
		wantAgent   int64
		wantTeam    int64
	}{{&agent, nil, 4, 0}, {nil, &team, 4, 2}, {&nobody, &nobody, 0, 0}} {
		if err := p.Assign(ctx, platformAdmin, ticket.ID, c.agent, c.team); err != nil {
			t.Fatal(err)
		}
		if now := l.tickets[ticket.Number]; now.Assignee != c.wantAgent || now.Team != c.wantTeam && c.agent == nil {
			t.Errorf("assigned to %d of team %d, want %d of %d", now.Assignee, now.Team, c.wantAgent, c.wantTeam)
		}
	}
	for _, c := range []struct {
		labels  []string
		replace bool
		want    []string
	}{{[]string{"b"}, false, []string{"b"}}, {[]string{"a", "b"}, false, []string{"a", "b"}}, {[]string{"c"}, true, []string{"c"}}, {nil, true, nil}} {
		if err := p.Label(ctx, platformAdmin, ticket.ID, c.labels, c.replace); err != nil {
			t.Fatal(err)
		}
		if now := l.tickets[ticket.Number].Labels; !slices.Equal(now, c.want) {
			t.Errorf("labelled %q, want %q", now, c.want)
		}
	}
	if err := p.Close(ctx, platformAdmin, ticket.ID); err != nil || l.tickets[ticket.Number].Status != domain.TicketResolved {
		t.Errorf("closed, it is %s (%v)", l.tickets[ticket.Number].Status, err)
	}
	if err := p.Close(ctx, platformAdmin, ticket.ID); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("closed twice: %v", err)
	}
	for what, err := range map[string]error{
		"close": p.Close(ctx, platformAdmin, uuid.New()), "assign": p.Assign(ctx, platformAdmin, uuid.New(), &agent, nil),
		"label": p.Label(ctx, platformAdmin, uuid.New(), nil, true), "agent": p.Assign(ctx, platformAdmin, ticket.ID, new(int64(77)), nil),
	} {
		if code := domain.CodeOf(err); code != domain.CodeNotFound && code != domain.CodeInvalid {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
	if _, err := p.Reply(ctx, platformAgent, uuid.New(), say, ""); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("a reply to nobody: %v", err)
	}
}

// Ensure that writing to a contact goes on where it can and begins anew where it
// must, and that nobody else's source id will do.
func TestPlatformStart(t *testing.T) {
	t.Parallel()
	l, p, ticket := onPlatform(t)
	ctx, bridge, say := t.Context(), *l.bridge(), domain.Content{Type: domain.ContentText, Text: "hello"}
	ref := ticket.Identity.SourceID
	where := func(message uuid.UUID, err error) int64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, post := range l.posts {
			if post.Message == message {
				return post.Number
			}
		}
		t.Fatalf("there is no message %s", message)
		return 0
	}
	if number := where(p.Start(ctx, platformAgent, bridge, ref, say, "")); number != ticket.Number {
		t.Errorf("it goes on in %d, want %d", number, ticket.Number)
	}
	if err := p.Close(ctx, platformAgent, ticket.ID); err != nil {
		t.Fatal(err)
	}
	begun := where(p.Start(ctx, platformAgent, bridge, ref, say, "once"))
	if begun == ticket.Number {
		t.Error("it goes on in a ticket that is resolved")
	}
	if number := where(p.Start(ctx, platformAgent, bridge, ref, say, "once")); number != begun {
		t.Errorf("a repeat is in %d, want %d", number, begun)
	}
	if _, err := p.Start(ctx, platformAgent, bridge, "nobody", say, ""); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("to nobody: %v", err)
	}
}

// Ensure that each kind of content of the platform has a form here.
func TestPostOf(t *testing.T) {
	t.Parallel()
	text, title, look := "hello", "Which one?", "look"
	for name, c := range map[string]struct {
		content domain.Content
		want    postInput
	}{
		"text": {domain.Content{Type: domain.ContentText, Text: text}, postInput{Type: domain.PostOutgoing, Content: &text}},
		"choice": {
			domain.Content{Type: domain.ContentQuickReply, Title: title, Replies: []string{"blue"}},
			postInput{Type: domain.PostOutgoing, Content: &title, ContentType: "input_select", Attributes: domain.Object{
				"items": []any{map[string]any{"title": "blue", "value": "blue"}},
			}},
		},
		"described file": {
			domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{Type: "image", URL: "https://example.com/x/a.png?b=1", Description: look}},
			postInput{Type: domain.PostOutgoing, Content: &look, Files: []domain.PostFile{
				{Kind: "image", Name: "a.png", ContentType: "image/png", URL: "https://example.com/x/a.png?b=1"},
			}},
		},
		"files": {
			domain.Content{Type: domain.ContentText, Attachments: []domain.Item{
				{Type: "file", URL: "https://example.com/", MimeType: "application/pdf"}, {Type: "audio", URL: "https://example.com/y", FileName: "z.unknown"},
			}},
			postInput{Type: domain.PostOutgoing, Files: []domain.PostFile{
				{Kind: "file", Name: "file", ContentType: "application/pdf", URL: "https://example.com/"},
				{Kind: "audio", Name: "z.unknown", ContentType: "application/octet-stream", URL: "https://example.com/y"},
			}},
		},
	} {
		if diff := cmp.Diff(c.want, postOf(c.content)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Ensure that refusals in the dialect's words are told in those of the platform.
func TestExplained(t *testing.T) {
	t.Parallel()
	for code, err := range map[domain.Code]error{
		"":                     nil,
		domain.CodeInvalid:     invalidRecord{Texts: []string{"Email Invalid email", "Name can't be blank"}},
		domain.CodeForbidden:   errNoRight,
		domain.CodeNotFound:    plainError{http.StatusNotFound, "Not Found"},
		domain.CodeRateLimited: plainError{http.StatusTooManyRequests, "Retry later"},
		domain.CodeConflict:    domain.Errorf(domain.CodeConflict, "taken"),
		domain.CodeInternal:    context.Canceled,
	} {
		if got := explained(err); domain.CodeOf(got) != code || err != nil && !strings.Contains(got.Error(), err.Error()) {
			t.Errorf("%v is told as %v", err, got)
		}
	}
	if got := explained(plainError{http.StatusUnprocessableEntity, "Validation failed"}); domain.CodeOf(got) != domain.CodeInvalid {
		t.Errorf("422 is told as %v", got)
	}
}

// Ensure that only forms with files may be large, and only here, and that only
// sockets last.
func TestDoorBounds(t *testing.T) {
	t.Parallel()
	d := &Door{}
	const form = "multipart/form-data; boundary=x"
	large := d.maxBody()
	if large <= maxPlainBody {
		t.Fatalf("a form may have %d bytes", large)
	}
	for _, c := range []struct {
		path, kind string
		want       int64
		lasts      bool
	}{
		{"/api/v1/accounts/1/conversations/2/messages", form, large, false},
		{"/public/api/v1/inboxes/x/contacts/y/conversations/2/messages", form, large, false},
		{"/api/v1/accounts/1/contacts", "application/json", maxPlainBody, false},
		{"/api/v1/accounts/1/contacts", "multipart/form-data; boundary", maxPlainBody, false},
		{"/v1/files", form, 0, false}, {"/custom/channel/webhook/", form, 0, false}, {"/cable", "", 0, true}, {"/cable/", "", 0, true}, {"/cables", "", 0, false},
	} {
		r := httptest.NewRequest(http.MethodPost, c.path, nil)
		r.Header.Set("Content-Type", c.kind)
		if got, lasts := d.MaxBody(r), d.Lasts(r); got != c.want || lasts != c.lasts {
			t.Errorf("%s %s: %d bytes, lasts %t; want %d, %t", c.path, c.kind, got, lasts, c.want, c.lasts)
		}
	}
}
