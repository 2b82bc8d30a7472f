package channelx

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// cablePatience bounds every wait of the tests of sockets.
const cablePatience = 20 * time.Second

// fakeLog is a log that tails follow.
type fakeLog struct {
	mu       sync.Mutex
	events   []domain.Recorded
	changed  chan struct{} // closed when there is more
	followed int
	away     error // of Follow
}

func newFakeLog() *fakeLog { return &fakeLog{changed: make(chan struct{})} }

func (l *fakeLog) Follow(ctx context.Context, show func(domain.Recorded)) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away != nil {
		return nil, l.away
	}
	l.followed++
	done, next := make(chan struct{}), len(l.events)
	go func() {
		defer close(done)
		for {
			l.mu.Lock()
			batch, changed := l.events[next:], l.changed
			next = len(l.events)
			l.mu.Unlock()
			for _, r := range batch {
				show(r)
			}
			if len(batch) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return done, nil
}

// append puts events into the log.
func (l *fakeLog) append(events ...domain.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.events = append(l.events, domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(l.events))}})
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// studio is an office with sockets. Its people are Ana, with two identities at the
// bridge of which none is verified, and Bo with one.
type studio struct {
	*office

	log    *fakeLog
	door   *Door
	server *httptest.Server
	reg    *prometheus.Registry

	mu         sync.Mutex
	identities map[string]domain.Identity // by hash of the token
	unreadable []error                    // what the next look-ups fail with
	seen       map[string]int             // times that somebody was written to be there
	elsewhere  map[domain.PresenceKind][]int64
	rows       map[int64]domain.Post
	revoked    bool // the tokens of agents
}

const (
	anas, anasOld, bos = 91, 90, 95 // identities
	bosID              = 78
)

// studioConfig changes how sockets are wired.
type studioConfig func(*Sockets)

func newStudio(t *testing.T, log *fakeLog, change ...studioConfig) *studio {
	t.Helper()
	s := &studio{
		office: newOffice(t), log: log, reg: prometheus.NewRegistry(), identities: map[string]domain.Identity{}, seen: map[string]int{},
		elsewhere: map[domain.PresenceKind][]int64{}, rows: map[int64]domain.Post{},
	}
	for _, i := range []domain.Identity{identity(anas, anasID), identity(anasOld, anasID), identity(bos, bosID)} {
		s.identities[hashed(s.SocketToken(identityOwner(i.ID)))] = i
	}
	sockets := &Sockets{Tail: log, Staff: s}
	for _, c := range change {
		c(sockets)
	}
	var err error
	s.door, err = New(Config{
		Directory: s, Inboxes: s, InboxAdmin: s, Endpoints: s, Log: s, Webhooks: s, People: s, Tickets: s, Posts: studioPosts{s}, Numbers: officeNumbers{s.office},
		Freshness: s, Presence: s, Keeper: s, Minter: s, Now: time.Now, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Registerer: s.reg, Sockets: sockets,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.door.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.door.Register(mux)
	s.server = httptest.NewServer(mux)
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop ends the sockets and the server, as a node does.
func (s *studio) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cablePatience)
	defer cancel()
	s.door.Stop(ctx)
	s.server.Close()
}

func hashed(token string) string {
	hash := domain.HashSecret(token)
	return hex.EncodeToString(hash[:])
}

// identity is an identity at the bridge.
func identity(id, person int64) domain.Identity {
	return domain.Identity{ID: id, Revision: 1, PersonID: person, Channel: bridge, SourceID: fmt.Sprintf("source-%d", id), CreatedAt: officeNoon, UpdatedAt: officeNoon}
}

// SocketToken gives tokens of the length that they have.
func (s *studio) SocketToken(owner string) string { return hashed(owner)[:domain.TokenLength] }

func (s *studio) ActingTokens(account string) []domain.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(s.Tokens(account), func(t domain.Token) bool { return s.revoked && t.Agent != 0 })
}

func (s *studio) IdentityByToken(_ context.Context, hash string) (domain.Identity, domain.Person, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unreadable) > 0 {
		err := s.unreadable[0]
		s.unreadable = s.unreadable[1:]
		return domain.Identity{}, domain.Person{}, "", err
	}
	i, ok := s.identities[hash]
	if !ok {
		return domain.Identity{}, domain.Person{}, "", errNotThere
	}
	return i, domain.Person{ID: i.PersonID}, officeAccount, nil
}

func (s *studio) Seen(_ context.Context, account string, kind domain.PresenceKind, ids ...int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.seen[fmt.Sprintf("%s %s %d", account, kind, id)]++
	}
	return nil
}

func (s *studio) Present(_ context.Context, _ string, kind domain.PresenceKind, _ time.Time) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.elsewhere[kind]), nil
}

// studioPosts reads the posts that a test has put into the rows.
type studioPosts struct{ s *studio }

func (p studioPosts) Post(_ context.Context, _ string, _, id int64) (domain.Post, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	row, ok := p.s.rows[id]
	if !ok {
		return domain.Post{}, errNotThere
	}
	return row, nil
}

func (studioPosts) Posts(context.Context, domain.PostQuery) ([]domain.Post, error) { return nil, nil }

func (studioPosts) PostBySource(context.Context, string, int64, string) (domain.Post, error) {
	return domain.Post{}, errNotThere
}

func (studioPosts) PostByKey(context.Context, string, int64, string) (domain.Post, error) {
	return domain.Post{}, errNotThere
}

func (studioPosts) UnreadPosts(context.Context, string, int64, time.Time, int) ([]domain.Post, error) {
	return nil, nil
}

func (studioPosts) PostsSince(context.Context, string, int64, time.Time, int) (int, error) {
	return 0, nil
}

// contactIdentifier is the text that lets an identity in, userIdentifier an
// operator.
func (s *studio) contactIdentifier(id int64) string {
	return fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q}`, s.SocketToken(identityOwner(id)))
}

func (s *studio) userIdentifier(operator int64) string {
	return fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"account_id":7,"user_id":%d}`, s.SocketToken(operatorOwner(officeAccount, operator)), operator)
}

// counted gives a number of the sockets' metrics.
func (s *studio) counted(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" {
				return m.GetGauge().GetValue()
			}
			if m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s of %q", name, label)
	return 0
}

// listener is a client of a socket.
type listener struct {
	conn     *websocket.Conn
	selected string

	mu     sync.Mutex
	frames []wireFrame
	err    error         // when the socket has ended
	more   chan struct{} // closed when a frame has come, or the end
	next   int           // of the frames that the test has not looked at
}

// wireFrame is a frame that a client got.
type wireFrame struct {
	Raw        string          `json:"-"`
	Type       string          `json:"type"`
	Identifier json.RawMessage `json:"identifier"`
	Reason     string          `json:"reason"`
	Reconnect  bool            `json:"reconnect"`
	Message    json.RawMessage `json:"message"` // a number in pings
	Event      string          `json:"-"`
	Data       map[string]any  `json:"-"`
}

// dial opens a socket and waits for nothing.
func (s *studio) dial(t *testing.T, protocols ...string) *listener {
	t.Helper()
	l, err := s.tryDial(t, protocols...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (s *studio) tryDial(t *testing.T, protocols ...string) (*listener, error) {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.server.URL, "http")+"/cable", &websocket.DialOptions{
		Subprotocols: protocols, HTTPHeader: http.Header{"Origin": {"https://shop.example.com"}},
	})
	if res != nil && res.Body != nil {
		defer res.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(16 << 20)
	l := &listener{conn: conn, selected: conn.Subprotocol(), more: make(chan struct{})}
	var reading sync.WaitGroup
	ctx := context.WithoutCancel(t.Context())
	reading.Go(func() { l.read(ctx) })
	t.Cleanup(func() { _ = conn.CloseNow(); reading.Wait() })
	return l, nil
}

func (l *listener) read(ctx context.Context) {
	for {
		_, raw, err := l.conn.Read(ctx)
		l.mu.Lock()
		if err != nil {
			l.err = err
			close(l.more)
			l.mu.Unlock()
			return
		}
		f := wireFrame{Raw: string(raw)}
		_ = json.Unmarshal(raw, &f) // what is no frame fails where it is wanted
		var told struct {
			Event string         `json:"event"`
			Data  map[string]any `json:"data"`
		}
		if json.Unmarshal(f.Message, &told) == nil {
			f.Event, f.Data = told.Event, told.Data
		}
		l.frames = append(l.frames, f)
		close(l.more)
		l.more = make(chan struct{})
		l.mu.Unlock()
	}
}

// take gives the next frame that is wanted, and all others that came before it but
// pings. Frames after it are left for the next call.
func (l *listener) take(t *testing.T, what string, wanted func(wireFrame) bool) (found wireFrame, before []wireFrame) {
	t.Helper()
	timeout := time.After(cablePatience)
	for {
		l.mu.Lock()
		for l.next < len(l.frames) {
			f := l.frames[l.next]
			l.next++
			if wanted(f) {
				l.mu.Unlock()
				return f, before
			}
			if f.Type != "ping" {
				before = append(before, f)
			}
		}
		err, more := l.err, l.more
		l.mu.Unlock()
		if err != nil {
			t.Fatalf("the socket ended before %s: %v", what, err)
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%s did not come; %d other frames did: %v", what, len(before), before)
		}
	}
}

// ends waits for the end of the socket.
func (l *listener) ends(t *testing.T) error {
	t.Helper()
	timeout := time.After(cablePatience)
	for {
		l.mu.Lock()
		err, more := l.err, l.more
		l.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatal("the socket does not end")
		}
	}
}

// sends writes a frame.
func (l *listener) sends(t *testing.T, frame string) {
	t.Helper()
	if err := l.conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// commands sends a command about an identifier.
func (l *listener) commands(t *testing.T, name, identifier string) {
	t.Helper()
	quoted, err := json.Marshal(identifier)
	if err != nil {
		t.Fatal(err)
	}
	l.sends(t, fmt.Sprintf(`{"command":%q,"identifier":%s}`, name, quoted))
}

// subscribes listens with an identifier, and waits until it is confirmed and has
// been told who is there.
func (l *listener) subscribes(t *testing.T, identifier string) *listener {
	t.Helper()
	l.commands(t, "subscribe", identifier)
	l.take(t, "the confirmation", typeIs("confirm_subscription"))
	l.take(t, "who is there", eventIs("presence.update"))
	return l
}

func typeIs(kind string) func(wireFrame) bool {
	return func(f wireFrame) bool { return f.Type == kind }
}

func eventIs(event string) func(wireFrame) bool {
	return func(f wireFrame) bool { return f.Event == event }
}

// talk is a ticket as it goes on. Its events have the revisions that they have to
// have.
type talk struct {
	who     domain.Identity
	person  domain.Person
	ticket  domain.Ticket
	channel string
}

func newTalk(number int64, who domain.Identity) *talk {
	return &talk{
		who: who, person: domain.Person{ID: who.PersonID, Revision: 1, Name: "Ana Prado"}, channel: bridge,
		ticket: domain.Ticket{ID: domain.TicketID(officeAccount, number), Number: number, IdentityID: who.ID, Status: domain.TicketOpen, CreatedAt: officeNoon},
	}
}

func (k *talk) scene() domain.Scene {
	return domain.Scene{
		Account: domain.Named{ID: 7, Name: "Acme Support"}, Inbox: domain.Named{ID: 3, Name: "Mobile bridge"},
		Ticket: k.ticket, Person: k.person, Identity: k.who, CanReply: true,
	}
}

// next is the ticket's next event.
func (k *talk) next(data func(domain.Scene) domain.Data) domain.Event {
	k.ticket.Revision++
	e := k.who.About(officeAccount, time.Now())
	e.Channel, e.ID, e.Data = k.channel, uuid.New(), data(k.scene())
	return e
}

// post is a post of the talk.
func (k *talk) post(id int64, kind domain.PostType, text string) domain.Post {
	return domain.Post{
		ID: id, Ticket: k.ticket.ID, Number: k.ticket.Number, Revision: 1, Type: kind, Content: &text, ContentType: "text", Status: domain.StatusSent,
		By: domain.Author{Contact: kind == domain.PostIncoming}, CreatedAt: officeNoon, UpdatedAt: officeNoon,
	}
}

var ruiOperator = domain.Operator{ID: rui, Name: "Rui Costa", Short: "Rui"}

// writes is a message of the contact, replies one of Rui.
func (k *talk) writes(id int64, text, echo string) domain.Event {
	return k.next(func(s domain.Scene) domain.Data {
		return domain.MessageReceived{Posted: &domain.Posted{
			Post: k.post(id, domain.PostIncoming, text), Scene: s, EchoID: echo, By: domain.Author{Contact: true},
		}}
	})
}

func (k *talk) replies(id int64, text string) domain.Event {
	return k.next(func(s domain.Scene) domain.Data {
		p := k.post(id, domain.PostOutgoing, text)
		p.By = domain.Author{Operator: &ruiOperator}
		return domain.MessageSent{Posted: &domain.Posted{Post: p, Scene: s, By: p.By}}
	})
}
