package voximplant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// The fixtures of section 9.
const (
	acme      = "acme"
	umbra     = "umbra"
	theToken  = "kt_4f9a2c7be1d84c55"
	theSalt   = "b3f1c9d27a5e4f08"
	channelA  = "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33"
	channelA2 = "4f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c34"
	channelU  = "aa11bb22-cc33-4d44-8e55-ff6677889900"
	channelR  = "bb11bb22-cc33-4d44-8e55-ff6677889900" // of another dialect
	strangers = "cc11bb22-cc33-4d44-8e55-ff6677889900" // nobody's
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func channel(account, id string) domain.Channel {
	return domain.Channel{
		ID: id, Account: account, Dialect: domain.DialectVoximplant, Name: "shop", CallbackURL: "https://srv.example.org/hook?key=a%2Fb&x=1",
		Credentials: domain.Credentials{APIToken: theToken, Salt: theSalt}, APITokenID: "t1",
		Desk: domain.Desk{Queue: 4, FallbackQueue: 5, CloseAfter: 3600, BotClose: 600, Wait: 60},
	}
}

// world is what there is, in memory.
type world struct {
	mu       sync.Mutex
	channels map[string]domain.Channel
	accounts map[string]domain.Account
	tokens   []domain.APIToken
	keys     []domain.SignKey // newest first
	queues   []domain.Queue
	agents   []domain.Agent
	tags     []domain.Tag
	skills   []domain.Skill
	function domain.Function
	talks    map[uuid.UUID]domain.Conversation

	events []domain.Event
	fails  error // of Append
	stale  error // of Fresh
	noKeys error // of CreateSignKey
}

func newWorld() *world {
	w := &world{
		channels: map[string]domain.Channel{}, talks: map[uuid.UUID]domain.Conversation{},
		accounts: map[string]domain.Account{acme: {Name: acme}, umbra: {Name: umbra}},
		tokens: []domain.APIToken{
			{ID: "t1", Account: acme, Name: "first", Value: theToken},
			{ID: "t2", Account: acme, Name: "odd", Value: "kt with blank+plus"},
			{ID: "u1", Account: umbra, Name: "theirs", Value: "kt_of_umbra"},
		},
		queues: []domain.Queue{{Number: 4, Account: acme, Name: "line", MaxWait: 60}, {Number: 5, Account: acme, Name: "second", MaxWait: 90}},
		agents: []domain.Agent{{Number: 31, Account: acme, Username: "petra", Email: "petra@acme.example"}},
		tags:   []domain.Tag{{Number: 5, Account: acme}, {Number: 8, Account: acme}}, skills: []domain.Skill{{Number: 3, Account: acme}},
		function: domain.Function{Number: 12, Account: acme, URL: "https://fn.example.org/run?a=1", AccessToken: "ptok"},
	}
	for _, ch := range []domain.Channel{channel(acme, channelA), channel(acme, channelA2), channel(umbra, channelU)} {
		w.channels[ch.ID] = ch
	}
	w.channels[channelR] = domain.Channel{ID: channelR, Account: acme, Dialect: domain.DialectRespondIO}
	return w
}

func (w *world) Channel(id string) (domain.Channel, bool) {
	ch, ok := w.channels[id]
	ch.Disabled = ch.Disabled || w.accounts[ch.Account].Disabled
	return ch, ok
}

func (w *world) Account(name string) (domain.Account, bool) {
	a, ok := w.accounts[name]
	return a, ok
}

func (w *world) APIToken(account, id string) (domain.APIToken, bool) {
	for _, t := range w.tokens {
		if t.Account == account && t.ID == id {
			return t, true
		}
	}
	return domain.APIToken{}, false
}

func (w *world) APITokenByValue(account, value string) (domain.APIToken, bool) {
	for _, t := range w.tokens {
		if t.Account == account && t.Value == value && !t.Revoked() && !w.accounts[account].Disabled {
			return t, true
		}
	}
	return domain.APIToken{}, false
}

func (w *world) SignKeys(p domain.KeyPurpose) []domain.SignKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.SignKey
	for _, k := range w.keys {
		if k.Purpose == p {
			list = append(list, k)
		}
	}
	return list
}

func (w *world) CreateSignKey(_ context.Context, k domain.SignKey) (domain.SignKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noKeys != nil {
		return domain.SignKey{}, w.noKeys
	}
	w.keys = append([]domain.SignKey{k}, w.keys...)
	return k, nil
}

func (w *world) Queue(account string, number int64) (domain.Queue, bool) {
	for _, q := range w.queues {
		if q.Account == account && q.Number == number {
			return q, true
		}
	}
	return domain.Queue{}, false
}

func (w *world) Queues(string) []domain.Queue { return w.queues }

func (w *world) Agent(account string, number int64) (domain.Agent, bool) {
	for _, a := range w.agents {
		if a.Account == account && a.Number == number {
			return a, true
		}
	}
	return domain.Agent{}, false
}

func (w *world) Agents(string) []domain.Agent { return w.agents }

func (w *world) Tag(account string, number int64) (domain.Tag, bool) {
	for _, t := range w.tags {
		if t.Account == account && t.Number == number {
			return t, true
		}
	}
	return domain.Tag{}, false
}

func (w *world) Skill(account string, number int64) (domain.Skill, bool) {
	for _, s := range w.skills {
		if s.Account == account && s.Number == number {
			return s, true
		}
	}
	return domain.Skill{}, false
}

func (w *world) Function(account string, number int64) (domain.Function, bool) {
	return w.function, w.function.Account == account && w.function.Number == number
}

func (w *world) ConversationByID(_ context.Context, id uuid.UUID) (domain.Conversation, error) {
	c, ok := w.talks[id]
	if !ok {
		return domain.Conversation{}, domain.Errorf(domain.CodeNotFound, "no conversation %s", id)
	}
	return c, nil
}

func (w *world) Fresh(_ context.Context, projection string) error {
	if projection != projectionConversations {
		return errors.New("unknown projection")
	}
	return w.stale
}

func (w *world) Append(_ context.Context, events ...domain.Event) ([]domain.Position, error) {
	if w.fails != nil {
		return nil, w.fails
	}
	positions := make([]domain.Position, len(events))
	for i := range events {
		positions[i] = domain.Position{Partition: 3, Offset: int64(len(w.events) + i)}
	}
	w.events = append(w.events, events...)
	return positions, nil
}

// doorway is a Door on a mux with other routes, and what is around it.
type doorway struct {
	*world

	mux  *http.ServeMux
	door *Door
	said *bytes.Buffer // what was logged
	now  time.Time
}

func openDoor(t testing.TB) *doorway {
	t.Helper()
	w := &doorway{world: newWorld(), mux: http.NewServeMux(), said: &bytes.Buffer{}, now: noon}
	var err error
	w.door, err = New(Config{
		Channels: w, Accounts: w, APITokens: w, Keys: w, Directory: w, Log: w, Conversations: w, Freshness: w,
		Now: func() time.Time { return w.now }, Random: rand.Reader,
		Logger:     slog.New(slog.NewTextHandler(w.said, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	w.mux.HandleFunc("GET /healthz", ok)
	w.mux.HandleFunc("GET /{$}", ok)
	w.mux.HandleFunc("/custom/webhook/{$}", ok)
	w.mux.HandleFunc("PUT /v1/channels", ok)
	w.door.Register(w.mux)
	return w
}

// do makes a request; headers are name and value by turns.
func (w *doorway) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got := httptest.NewRecorder()
	w.mux.ServeHTTP(got, r)
	return got
}

func (w *doorway) login(domainName, token, channelUUID string) *httptest.ResponseRecorder {
	query := url.Values{"domain": {domainName}, "access_token": {token}}.Encode()
	return w.do(http.MethodPost, "/api/v3/botService/login?"+query, "channel_uuid="+channelUUID, "Content-Type", "application/x-www-form-urlencoded")
}

func (w *doorway) renews(token string) *httptest.ResponseRecorder {
	return w.do(http.MethodPost, "/api/v3/botService/refreshToken", url.Values{"refresh_token": {token}}.Encode(),
		"Content-Type", "application/x-www-form-urlencoded")
}

// tokens gives the tokens of a login that worked.
func tokens(t testing.TB, got *httptest.ResponseRecorder) pair {
	t.Helper()
	var body struct {
		Success bool `json:"success"`
		Result  pair `json:"result"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil || got.Code != http.StatusOK || !body.Success {
		t.Fatalf("%d %s: %v", got.Code, got.Body, err)
	}
	for _, token := range []string{body.Result.Access, body.Result.Refresh} {
		if strings.Count(token, ".") != 2 {
			t.Errorf("%q is no JWT", token)
		}
	}
	return body.Result
}

// refusedWith expects the failure envelope (section 1.1) and gives its words.
func refusedWith(t testing.TB, got *httptest.ResponseRecorder, status int) string {
	t.Helper()
	var body struct {
		Success *bool `json:"success"`
		Result  struct {
			Error string `json:"error"`
			Code  int    `json:"code"`
		} `json:"result"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d %q: %v", got.Code, got.Body, err)
	}
	if got.Code != status || body.Result.Code != status || body.Success == nil || *body.Success || body.Result.Error == "" ||
		got.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%d %s %s, want %d", got.Code, got.Header().Get("Content-Type"), got.Body, status)
	}
	return body.Result.Error
}

// takenAs expects the success envelope and gives the event.
func (w *doorway) takenAs(t testing.TB, got *httptest.ResponseRecorder) domain.Event {
	t.Helper()
	if got.Code != http.StatusOK || got.Body.String() != taken || got.Header().Get("Content-Type") != "application/json; charset=utf-8" ||
		got.Header().Get("Parley-Position") == "" || len(w.events) == 0 {
		t.Fatalf("%d %v %s, %d events", got.Code, got.Header(), got.Body, len(w.events))
	}
	return w.events[len(w.events)-1]
}

func (w *doorway) access(t testing.TB) string {
	t.Helper()
	return "Bearer " + tokens(t, w.login(acme, theToken, channelA)).Access
}

// minimal is the smallest event there is.
const minimal = `{"client_data":{"client_id":"u-20417"},"event_id":"e-1","event_type":"send_message","event_data":{"message":{"message_id":"m-1"}}}`
