package channelx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/domain"
)

// gate is a directory with two accounts and a third one that is disabled, and with
// one inbox.
type gate struct {
	directory
	inboxes
}

func (gate) Token(secret string) (domain.Token, bool) {
	t, ok := map[string]domain.Token{
		"the-admin": {ID: "t1", Account: "acme", Name: "bridge", Role: domain.RoleAdmin}, "an-agent": {ID: "t2", Account: "acme", Role: domain.RoleAgent, Agent: 4},
		"a-program": {ID: "t3", Account: "acme", Name: "program", Role: domain.RoleAgent}, "a-reader": {ID: "t4", Account: "acme", Role: domain.RoleReader},
		"another": {ID: "t5", Account: "umbra", Role: domain.RoleAdmin}, "suspended": {ID: "t6", Account: "gone", Role: domain.RoleAdmin},
		"late": {ID: "t7", Account: "late", Role: domain.RoleAdmin}, "orphan": {ID: "t8", Account: "nowhere", Role: domain.RoleAdmin},
	}[secret]
	return t, ok && t.Account != "gone"
}

func (gate) Account(name string) (domain.Account, bool) {
	a, ok := map[string]domain.Account{
		"acme": {Name: "acme", Number: 7}, "umbra": {Name: "umbra", Number: 8}, "gone": {Name: "gone", Number: 9, Disabled: true},
		"late": {Name: "late", Number: 10, Disabled: true},
	}[name]
	return a, ok
}

func (g gate) AccountByNumber(number int64) (domain.Account, bool) {
	for _, name := range []string{"acme", "umbra", "gone"} {
		if a, _ := g.Account(name); a.Number == number {
			return a, true
		}
	}
	return domain.Account{}, false
}

func (gate) Agent(_ string, number int64) (domain.Agent, bool) {
	return domain.Agent{Number: 4, Username: "rui"}, number == 4
}

func (gate) Channels(account string) []domain.Channel {
	if account != "acme" {
		return nil
	}
	program := domain.OperatorOfToken(domain.Token{ID: "t3", Account: "acme"}).ID
	return []domain.Channel{
		{ID: "c1", Account: "acme", Dialect: domain.DialectChannelX, Inbox: domain.Inbox{Number: 3, Identifier: "ident@i.fier:1", Members: []int64{4, program}}},
		{ID: "c2", Account: "acme", Dialect: domain.DialectChannelX, Inbox: domain.Inbox{Number: 4}},
	}
}

func (g gate) ChannelByIdentifier(identifier string) (domain.Channel, bool) {
	ch := g.Channels("acme")[0]
	return ch, identifier == ch.Inbox.Identifier
}

// stand is a door without a desk.
type stand struct {
	*Door

	mux *http.ServeMux
	at  time.Time
}

func newStand(t testing.TB, limits Limits) *stand {
	t.Helper()
	s := &stand{mux: http.NewServeMux(), at: time.Unix(1765000140, 0)}
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.Door = &Door{
		Config:  Config{Directory: gate{}, Inboxes: gate{}, Limits: limits, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.at }},
		metrics: m, requests: newLimiter(limits.Requests), searches: newLimiter(limits.Searches), counts: newLimiter(limits.Counts),
	}
	return s
}

// ask sends a request; headers are names and values.
func (s *stand) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

const (
	accessToken   = "api_access_token"
	needsToken    = `{"errors":["You need to sign in or sign up before continuing."]}`
	noSuchToken   = `{"error":"Invalid Access Token"}`
	noSuchAccount = `{"error":"You are not authorized to access this account"}`
	noSuchRight   = `{"error":"You are not authorized to do this action"}`
	noSuchThing   = `{"error":"Resource could not be found"}`
)

// Ensure callers are found by their tokens in all spellings, and the others are
// told what section 10.1 says.
func TestDoor_Callers(t *testing.T) {
	t.Parallel()
	s := newStand(t, Limits{})
	who := func(_ context.Context, c caller, _ *request) (any, error) {
		a := c.actor()
		return []any{c.account.Name, c.operator.ID, c.agent, c.admin, c.reader, a.role, a.operator.ID == c.operator.ID, a.channels}, nil
	}
	for pattern, n := range map[string]need{"GET /open": open, "GET /write": write, "GET /admin": admin} {
		s.app(s.mux, pattern, n, who)
	}
	s.profile(s.mux, "GET /api/v1/profile", who)
	program := domain.OperatorOfToken(domain.Token{ID: "t3", Account: "acme"}).ID
	bridge := domain.OperatorOfToken(domain.Token{ID: "t1", Account: "acme"}).ID
	reader := domain.OperatorOfToken(domain.Token{ID: "t4", Account: "acme"}).ID
	const account = "/api/v1/accounts/7"
	asAdmin := fmt.Sprintf(`["acme",%d,0,true,false,"administrator",true,["c1","c2"]]`, bridge)
	asAgent := `["acme",4,4,false,false,"agent",true,["c1"]]`
	asReader := fmt.Sprintf(`["acme",%d,0,false,true,"agent",true,[]]`, reader)
	for _, tt := range []struct {
		path    string
		headers []string
		status  int
		want    string
	}{
		{account + "/open", nil, 401, needsToken},
		{account + "/open", []string{accessToken, ""}, 401, needsToken},
		{account + "/open", []string{"Authorization", "Basic the-admin"}, 401, needsToken},
		{account + "/open", []string{accessToken, "wrong"}, 401, noSuchToken},
		{account + "/open", []string{accessToken, "wrong", "Authorization", "Bearer the-admin"}, 401, noSuchToken},
		{account + "/open", []string{accessToken, "orphan"}, 401, noSuchToken},
		{account + "/open", []string{accessToken, "suspended"}, 401, `{"error":"Account is suspended"}`},
		{account + "/open", []string{accessToken, "late"}, 401, `{"error":"Account is suspended"}`},
		{account + "/open", []string{accessToken, "another"}, 401, noSuchAccount},
		{"/api/v1/accounts/8/open", []string{accessToken, "the-admin"}, 401, noSuchAccount},
		{"/api/v1/accounts/11/open", []string{accessToken, "the-admin"}, 404, noSuchThing},
		{"/api/v1/accounts/acme/open", []string{accessToken, "the-admin"}, 404, noSuchThing},
		{account + "/open", []string{accessToken, "the-admin"}, 200, asAdmin},
		{account + "/open", []string{"Api-Access-Token", "the-admin"}, 200, asAdmin},
		{account + "/open", []string{"API_ACCESS_TOKEN", "the-admin"}, 200, asAdmin},
		{account + "/open", []string{"Authorization", "bearer the-admin"}, 200, asAdmin},
		{account + "/open", []string{accessToken, "the-admin", "Authorization", "Bearer wrong"}, 200, asAdmin},
		{account + "/open", []string{accessToken, "an-agent"}, 200, asAgent},
		{account + "/open", []string{accessToken, "a-program"}, 200, fmt.Sprintf(`["acme",%d,0,false,false,"agent",true,["c1"]]`, program)},
		{account + "/open", []string{accessToken, "a-reader"}, 200, asReader},
		{account + "/write", []string{accessToken, "a-reader"}, 401, noSuchRight},
		{account + "/write", []string{accessToken, "an-agent"}, 200, asAgent},
		{account + "/admin", []string{accessToken, "an-agent"}, 401, noSuchRight},
		{account + "/admin", []string{accessToken, "a-reader"}, 401, noSuchRight},
		{account + "/admin", []string{accessToken, "the-admin"}, 200, asAdmin},
		{"/api/v1/profile", []string{accessToken, "the-admin"}, 200, asAdmin},
		{"/api/v1/profile", nil, 401, needsToken},
	} {
		w := s.ask(http.MethodGet, tt.path, "", tt.headers...)
		if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.want || w.Header().Get("Content-Type") != jsonType {
			t.Errorf("%s with %q: %d %s, want %d %s", tt.path, tt.headers, w.Code, got, tt.status, tt.want)
		}
	}
}

// Ensure a final slash and .json mean nothing, parts of paths are read as they were
// before they were escaped, and what no route takes is 404 or 405.
func TestDoor_Paths(t *testing.T) {
	t.Parallel()
	s := newStand(t, Limits{})
	say := func(r *request, names ...string) (any, error) {
		said := []any{r.Method}
		for _, name := range names {
			if name == "id" {
				id, err := r.id(name)
				if err != nil {
					return nil, err
				}
				said = append(said, id)
				continue
			}
			said = append(said, r.value(name))
		}
		return said, nil
	}
	s.app(s.mux, "GET /things", open, func(_ context.Context, _ caller, r *request) (any, error) { return say(r) })
	s.app(s.mux, "POST /things", open, func(_ context.Context, _ caller, r *request) (any, error) { return say(r) })
	s.app(s.mux, "GET /things/{id}", open, func(_ context.Context, _ caller, r *request) (any, error) { return say(r, "id") })
	s.app(s.mux, "DELETE /things/{id}", open, func(context.Context, caller, *request) (any, error) { return nil, nil })
	s.app(s.mux, "GET /things/{id}/parts", open, func(_ context.Context, _ caller, r *request) (any, error) { return say(r, "id") })
	s.app(s.mux, "GET /pages", open, func(_ context.Context, _ caller, r *request) (any, error) {
		n, given := r.page()
		return []any{n, given, r.currentPage()}, nil
	})
	client := func(names ...string) publicHandler {
		return func(_ context.Context, inbox domain.Channel, r *request) (any, error) { return say(r, names...) }
	}
	s.public(s.mux, "GET /", client("inbox_identifier"))
	s.public(s.mux, "GET /contacts/{source_id}", client("inbox_identifier", "source_id"))
	s.public(s.mux, "PATCH /contacts/{source_id}", client("source_id"))
	s.public(s.mux, "GET /contacts/{source_id}/conversations", client("source_id"))
	s.catch(s.mux, "/api/v1/", atApplication)
	s.catch(s.mux, "/public/api/", atClient)
	s.mux.HandleFunc("OPTIONS /public/api/", s.preflight)
	const account, inbox = "/api/v1/accounts/7", "/public/api/v1/inboxes/ident@i.fier:1"
	const notFound, notAllowed = `{"status":404,"error":"Not Found"}`, `{"error":"Method Not Allowed"}`
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", account + "/things", 200, `["GET"]`},
		{"GET", account + "/things/", 200, `["GET"]`},
		{"POST", account + "/things/", 200, `["POST"]`},
		{"POST", account + "/things.json", 200, `["POST"]`},
		{"GET", account + "/things/5", 200, `["GET",5]`},
		{"GET", account + "/things/5/", 200, `["GET",5]`},
		{"GET", account + "/things/5.json", 200, `["GET",5]`},
		{"GET", account + "/things/5/parts.json", 200, `["GET",5]`},
		{"GET", account + "/things/5.json/parts", 404, noSuchThing},
		{"GET", account + "/things/x", 404, noSuchThing},
		{"GET", account + "/things/0", 404, noSuchThing},
		{"GET", account + "/things/-5", 404, noSuchThing},
		{"GET", account + "/things/99999999999999999999", 404, noSuchThing},
		{"DELETE", account + "/things/5", 200, ``},
		{"PUT", account + "/things/5", 405, notAllowed},
		{"PUT", account + "/things/", 405, notAllowed},
		{"GET", account + "/others", 404, noSuchThing},
		{"GET", "/api/v1/", 404, noSuchThing},
		{"GET", account + "/pages", 200, `[1,"",1]`},
		{"GET", account + "/pages?page=2", 200, `[2,"2","2"]`},
		{"GET", account + "/pages?page=x", 200, `[1,"x","x"]`},
		{"GET", account + "/pages?page=-2", 200, `[1,"-2","-2"]`},
		{"GET", account + "/pages?page=99999999999", 200, `[1000000,"99999999999","99999999999"]`},
		{"GET", inbox, 200, `["GET","ident@i.fier:1"]`},
		{"GET", inbox + "/", 200, `["GET","ident@i.fier:1"]`},
		{"GET", inbox + ".json", 200, `["GET","ident@i.fier:1"]`},
		{"GET", "/public/api/v1/inboxes/ident%40i.fier%3A1/contacts/a%2Fb%20c+d:e", 200, `["GET","ident@i.fier:1","a/b c+d:e"]`},
		{"PATCH", inbox + "/contacts/a.b.json", 200, `["PATCH","a.b"]`},
		{"PATCH", inbox + "/contacts/a.b/", 200, `["PATCH","a.b"]`},
		{"GET", inbox + "/contacts/x.json/conversations", 200, `["GET","x.json"]`},
		{"GET", "/public/api/v1/inboxes/none", 404, notFound},
		{"GET", "/public/api/v1/inboxes/none/contacts/x", 404, notFound},
		{"GET", "/public/api/v1/others", 404, notFound},
		{"DELETE", inbox + "/contacts/x", 405, notAllowed},
		{"OPTIONS", inbox + "/contacts/x", 200, ``},
		{"OPTIONS", "/public/api/v1/others", 200, ``},
	} {
		w := s.ask(tt.method, tt.path, "", accessToken, "the-admin", "Origin", "https://shop.example.com", "Access-Control-Request-Headers", "X-One, X-Two")
		if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.want {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, w.Code, got, tt.status, tt.want)
		}
		origin := w.Header().Get("Access-Control-Allow-Origin")
		if public := strings.HasPrefix(tt.path, "/public"); public != (origin == "*") || public && w.Header().Get("Access-Control-Allow-Headers") != "X-One, X-Two" {
			t.Errorf("%s %s: allows origin %q", tt.method, tt.path, origin)
		}
		if w.Code == http.StatusMethodNotAllowed && !strings.Contains(w.Header().Get("Allow"), "GET") {
			t.Errorf("%s %s: allows %q", tt.method, tt.path, w.Header().Get("Allow"))
		}
	}
	// What is no credential there does not disturb.
	if w := s.ask("GET", inbox, "", accessToken, "wrong"); w.Code != http.StatusOK {
		t.Errorf("a stray token: %d", w.Code)
	}
}

// Ensure each error is told as section 10.1 says, by each API.
func TestDoor_Refusals(t *testing.T) {
	t.Parallel()
	s := newStand(t, Limits{})
	var failure error
	s.app(s.mux, "POST /x", open, func(context.Context, caller, *request) (any, error) { return nil, failure })
	s.public(s.mux, "POST /x", func(context.Context, domain.Channel, *request) (any, error) { return nil, failure })
	const inner = `{"status":500,"error":"Internal Server Error"}`
	const away = `{"status":503,"error":"A part that this needs is away or slow; repeat the request."}`
	for _, tt := range []struct {
		err         error
		status      int
		app, client string
	}{
		{errNotThere, 404, noSuchThing, `{"status":404,"error":"Not Found"}`},
		{fmt.Errorf("read: %w", domain.Errorf(domain.CodeNotFound, "there is no ticket 5")), 404, noSuchThing, `{"status":404,"error":"Not Found"}`},
		{invalidRecord{[]string{"Email has already been taken", "Name can't be blank"}, []string{"email", "name"}}, 422, `{"message":"Email has already been taken, Name can't be blank","attributes":["email","name"]}`, ""},
		{fmt.Errorf("make: %w", invalidRecord{Texts: []string{"No"}}), 422, `{"message":"No","attributes":[]}`, ""},
		{plainError{422, "source_id should be unique"}, 422, `{"error":"source_id should be unique"}`, ""},
		{plainError{status: 404}, 404, ``, ""},
		{domain.Invalid("name", "is required"), 422, `{"message":"name is required","attributes":["name"]}`, ""},
		{domain.Errorf(domain.CodeInvalid, "no"), 422, `{"message":"no","attributes":[]}`, ""},
		{domain.Errorf(domain.CodeUnauthorized, "HMAC failed: Invalid Identifier Hash Provided"), 401, `{"error":"HMAC failed: Invalid Identifier Hash Provided"}`, ""},
		{domain.Errorf(domain.CodeForbidden, "not yours"), 401, noSuchRight, ""},
		{domain.Errorf(domain.CodeConflict, "twice"), 422, `{"error":"twice"}`, ""},
		{domain.Errorf(domain.CodeTooLarge, "too much"), 413, `{"error":"too much"}`, ""},
		{domain.Errorf(domain.CodeRateLimited, "slowly"), 429, `Retry later`, ""},
		{domain.Errorf(domain.CodeUnavailable, "not now"), 503, `{"status":503,"error":"not now"}`, ""},
		{errBadRequest, 400, `{"status":400,"error":"Bad Request"}`, ""},
		{errors.New("the secret is x"), 500, inner, ""},
		{domain.Errorf(domain.CodeInternal, "the secret is x"), 500, inner, ""},
		{fmt.Errorf("read a conversation: %w", context.DeadlineExceeded), 503, away, ""},
		{fmt.Errorf("read a conversation: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")}), 503, away, ""},
	} {
		failure = tt.err
		for path, want := range map[string]string{"/api/v1/accounts/7/x": tt.app, "/public/api/v1/inboxes/ident@i.fier:1/x": tt.client} {
			if want == "" && tt.client == "" {
				want = tt.app
			}
			w := s.ask("POST", path, "", accessToken, "the-admin")
			if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != want {
				t.Errorf("%v at %s: %d %s, want %d %s", tt.err, path, w.Code, got, tt.status, want)
			}
			if wait := w.Header().Get("Retry-After"); (wait != "") != (tt.status == 429 || tt.status == 503) {
				t.Errorf("%v: Retry-After %q", tt.err, wait)
			}
			if kind := w.Header().Get("Content-Type"); tt.status == 429 && kind != "text/plain; charset=utf-8" || tt.status != 429 && want != "" && kind != jsonType {
				t.Errorf("%v: the answer is %s", tt.err, kind)
			}
		}
	}
	if w := s.ask("POST", "/api/v1/accounts/7/x", "{", accessToken, "the-admin", "Content-Type", "application/json"); w.Code != http.StatusBadRequest {
		t.Errorf("a broken body: %d", w.Code)
	}
	// What ended because its caller has gone is no fault.
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	failure = fmt.Errorf("read a conversation: %w", context.Canceled)
	for _, path := range []string{"/api/v1/accounts/7/x", "/public/api/v1/inboxes/ident@i.fier:1/x"} {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, nil)
		r.Header.Set("Authorization", "Bearer the-admin")
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("a caller who has gone from %s is told %d %s", path, w.Code, w.Body)
		}
	}
	if n := testutil.ToFloat64(s.metrics.requests[answerKind{atApplication, 429}]); n != 1 {
		t.Errorf("%v answers of 429 are counted", n)
	}
}

// Ensure answers are JSON in which texts stand as they are, and that nothing is an
// empty body.
func TestDoor_Answers(t *testing.T) {
	t.Parallel()
	s := newStand(t, Limits{})
	s.app(s.mux, "POST /echo", open, func(_ context.Context, _ caller, r *request) (any, error) {
		text, _ := r.params.text("text")
		return map[string]string{"text": text}, nil
	})
	s.app(s.mux, "POST /null", open, func(context.Context, caller, *request) (any, error) { return json.RawMessage("null"), nil })
	s.app(s.mux, "POST /nothing", open, func(context.Context, caller, *request) (any, error) { return nil, nil })
	for path, want := range map[string]string{"echo?text=%3Ca%26b%3E": `{"text":"<a&b>"}`, "null": "null", "nothing": ""} {
		w := s.ask("POST", "/api/v1/accounts/7/"+path, "", accessToken, "the-admin")
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want || (want != "") != (w.Header().Get("Content-Type") == jsonType) {
			t.Errorf("%s: %d %q %s", path, w.Code, got, w.Header())
		}
	}
}

// Ensure an address, a search and a count have their limits, by the minute.
func TestDoor_Limits(t *testing.T) {
	t.Parallel()
	s := newStand(t, Limits{Requests: 3, Searches: 1, Counts: 2})
	s.public(s.mux, "GET /", func(context.Context, domain.Channel, *request) (any, error) { return nil, nil })
	from := func(address string) int {
		r := httptest.NewRequest(http.MethodGet, "/public/api/v1/inboxes/ident@i.fier:1", nil)
		r.RemoteAddr = address
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		if body, _ := io.ReadAll(w.Body); w.Code == http.StatusTooManyRequests && (string(body) != "Retry later" || w.Header().Get("Access-Control-Allow-Origin") != "*") {
			t.Errorf("too many are told %q %v", body, w.Header())
		}
		return w.Code
	}
	for _, tt := range []struct {
		address string
		status  int
	}{
		{"192.0.2.1:1", 200}, {"192.0.2.1:2", 200}, {"[::ffff:192.0.2.1]:2", 200}, {"192.0.2.1:3", 429}, {"192.0.2.2:1", 200},
		{"[2001:db8::1]:1", 200}, {"[2001:db8::2]:1", 200}, {"[2001:db8::3]:1", 200}, {"[2001:db8::4]:1", 429}, {"[2001:db8:0:1::1]:1", 200},
	} {
		if got := from(tt.address); got != tt.status {
			t.Errorf("%s: %d, want %d", tt.address, got, tt.status)
		}
	}
	s.at = s.at.Add(window)
	if got := from("192.0.2.1:1"); got != 200 {
		t.Errorf("a minute later: %d", got)
	}
	c, other := caller{account: domain.Account{Name: "acme"}, operator: domain.Operator{ID: 1}}, caller{account: domain.Account{Name: "umbra"}}
	if s.maySearch(c) != nil || domain.CodeOf(s.maySearch(c)) != domain.CodeRateLimited || s.maySearch(other) != nil {
		t.Error("searches are not limited by account")
	}
	for range 2 {
		if err := s.mayCount(c); err != nil {
			t.Errorf("a count is refused: %v", err)
		}
	}
	if domain.CodeOf(s.mayCount(c)) != domain.CodeRateLimited {
		t.Error("counts are not limited")
	}
	c.operator.ID = 2
	if s.mayCount(c) != nil {
		t.Error("counts of one caller limit another one")
	}
}

// Ensure a limiter without a limit lets all through, and that one whose names are
// too many forgets those that are over first.
func TestLimiter_Bounds(t *testing.T) {
	t.Parallel()
	now := time.Unix(1765000140, 0)
	free, tight := newLimiter(0), newLimiter(1)
	for i := range maxCounted + 1000 {
		if free.take("a", now) != nil {
			t.Fatal("there is a limit where there is none")
		}
		if tight.take(fmt.Sprint(i), now) != nil {
			t.Fatal("a name is limited by others")
		}
	}
	if len(tight.counted) > maxCounted || len(free.counted) > 0 {
		t.Errorf("%d and %d names are remembered", len(tight.counted), len(free.counted))
	}
	later := now.Add(window)
	if err := tight.take("new", later); err != nil || len(tight.counted) > maxCounted-maxSweeping+1 {
		t.Errorf("%d names are remembered a minute later: %v", len(tight.counted), err)
	}
	// A clock that is set back does not lock anybody out.
	if tight.take("new", now.Add(-time.Hour)) != nil {
		t.Error("a name is limited until a time that is far off")
	}
}
