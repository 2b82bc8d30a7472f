package channelx

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// counter is a Door whose desk works at a ledger: what is said over one API is seen
// over the other.
type counter struct {
	*office

	ledger *ledger
	door   *Door
	files  map[string]keptFile // by URL
	asked  []domain.TicketQuery
}

type keptFile struct {
	contentType string
	content     []byte
}

func newCounter(t *testing.T, change ...func(*Config)) *counter {
	t.Helper()
	w := &counter{office: newOffice(t), ledger: newLedger(), files: map[string]keptFile{}}
	w.ledger.channels = w.channels
	cfg := Config{
		Directory: w.office, Inboxes: counterInboxes{w.office}, InboxAdmin: w.office, Endpoints: w.office, Webhooks: w.ledger, People: w.ledger,
		Tickets: counterTickets{w.ledger, w}, Posts: ledgerPosts{w.ledger}, Numbers: ledgerNumbers{w.ledger}, Locks: w.ledger, Log: w.ledger,
		Freshness: w.ledger, Presence: w.office, Keeper: w, Minter: w.office,
		Limits: Limits{Counts: 3, Attachment: 1 << 20}, Now: w.ledger.time, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if w.door, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	w.mux = http.NewServeMux()
	w.door.Register(w.mux)
	return w
}

// counterInboxes are the inboxes of an office, by identifier, too.
type counterInboxes struct{ *office }

func (o counterInboxes) ChannelByIdentifier(identifier string) (domain.Channel, bool) {
	for _, ch := range o.Channels(officeAccount) {
		if ch.Inbox.Identifier == identifier && identifier != "" {
			return ch, true
		}
	}
	return domain.Channel{}, false
}

// counterTickets are the tickets of a ledger as lists.
type counterTickets struct {
	*ledger
	counter *counter
}

func (l counterTickets) Tickets(_ context.Context, q domain.TicketQuery) ([]domain.TicketSeen, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counter.asked = append(l.counter.asked, q)
	var list []domain.TicketSeen
	for _, number := range slices.Sorted(maps.Keys(l.tickets)) {
		t, err := l.ticket(number)
		if err != nil || q.Identity != 0 && t.Identity.ID != q.Identity || q.Person != 0 && t.Person.ID != q.Person ||
			q.Channels != nil && !slices.Contains(q.Channels, t.Identity.Channel) ||
			q.Statuses != nil && !slices.Contains(q.Statuses, t.Status) {
			continue
		}
		list = append(list, t)
	}
	return list, nil
}

func (l counterTickets) TicketCounts(ctx context.Context, q domain.TicketQuery, me int64) (domain.TicketCounts, error) {
	list, err := l.Tickets(ctx, q)
	var n domain.TicketCounts
	for _, t := range list {
		n.All++
		switch t.Assignee {
		case 0:
			n.Unassigned++
		case me:
			n.Mine++
			n.Assigned++
		default:
			n.Assigned++
		}
	}
	return n, err
}

// Keep is the port of files.
func (w *counter) Keep(_ context.Context, name, contentType string, content io.Reader) (string, int64, error) {
	raw, err := io.ReadAll(content)
	url := "http://parley.example.com/files/" + strconv.Itoa(len(w.files)+1) + "/" + name
	w.files[url] = keptFile{contentType, raw}
	return url, int64(len(raw)), err
}

// ana registers a contact over the application API and gives their source id.
func (w *counter) ana(t *testing.T) string {
	t.Helper()
	made := w.gets(t, adminToken, http.MethodPost, "/contacts", `{"inbox_id":3,"name":"Ana Prado","identifier":"crm-48213","email":"ana@example.com"}`)
	return at(t, made, "payload", "contact_inbox", "source_id").(string)
}

// conversation opens one of a source id and gives its path.
func (w *counter) conversation(t *testing.T, source string) string {
	t.Helper()
	made := w.gets(t, adminToken, http.MethodPost, "/conversations", `{"source_id":"`+source+`"}`)
	return "/conversations/" + number(t, at(t, made, "id"))
}

// number shows a JSON number as it stands in paths.
func number(t *testing.T, v any) string {
	t.Helper()
	f, ok := v.(float64)
	if !ok {
		t.Fatalf("%v is no number", v)
	}
	return strconv.FormatInt(int64(f), 10)
}

const clientPath = "/public/api/v1/inboxes/wQ7hK2mXv9TzR4sYb8LcNd31"

// client sends a request to the client API of the bridge.
func (w *counter) client(t *testing.T, method, path, body string) (int, any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, clientPath+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.answer(t, r)
}

// told is client for what must succeed.
func (w *counter) told(t *testing.T, method, path, body string) any {
	t.Helper()
	status, answer := w.client(t, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s answered %d %v", method, path, status, answer)
	}
	return answer
}

// denied expects a status of the client API.
func (w *counter) denied(t *testing.T, method, path, body string, want int) {
	t.Helper()
	if status, answer := w.client(t, method, path, body); status != want {
		t.Errorf("%s %s %s answered %d %v, want %d", method, path, body, status, answer, want)
	}
}

func (w *counter) answer(t *testing.T, r *http.Request) (int, any) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	if rec.Body.Len() == 0 {
		return rec.Code, nil
	}
	var answer any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s answered %q", r.Method, r.URL, rec.Body)
	}
	return rec.Code, answer
}

// formPart is a part of a multipart body: a file where it has a file name.
type formPart struct{ name, file, contentType, content string }

// posts sends a multipart body to a path of either API.
func (w *counter) posts(t *testing.T, path string, parts ...formPart) (int, any) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := `form-data; name="` + p.name + `"`
		if p.file != "" {
			disposition += `; filename="` + p.file + `"`
		}
		h.Set("Content-Disposition", disposition)
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		to, err := form.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(to, p.content) // a buffer takes everything
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(path, "/public") {
		path = "/api/v1/accounts/7" + path
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Api-Access-Token", adminToken)
	r.ContentLength = -1 // chunked
	return w.answer(t, r)
}

// numbersIn lists the ids of the elements of a list.
func numbersIn(t *testing.T, list any) []string {
	t.Helper()
	elements, ok := list.([]any)
	if !ok {
		t.Fatalf("%v is no list", list)
	}
	shown := []string{}
	for _, e := range elements {
		shown = append(shown, number(t, at(t, e, "id")))
	}
	slices.SortFunc(shown, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return shown
}
