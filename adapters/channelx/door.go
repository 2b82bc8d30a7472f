package channelx

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// Limits bound what clients may do (channelx.md 2.7); 0 is no limit, but that of
// the protocol for files.
type Limits struct {
	Requests   int   // of an address, a minute
	Searches   int   // of an account for contacts, a minute
	Counts     int   // of conversations by a caller, a minute
	Messages   int   // of a conversation, a minute
	Attachment int64 // bytes of a file
}

// DefaultLimits are those of the protocol.
func DefaultLimits() Limits {
	return Limits{Requests: 3000, Searches: 100, Counts: 30, Messages: 200, Attachment: 40 << 20}
}

// Config wires a Door. All of it must be set but Sockets.
type Config struct {
	Directory  directory
	Inboxes    inboxes
	InboxAdmin inboxAdmin
	Endpoints  endpoints
	Webhooks   webhooks
	People     people
	Tickets    tickets
	Posts      posts
	Numbers    numbers
	Locks      locks
	Log        log
	Freshness  freshness
	Presence   presence
	Keeper     keeper
	Minter     minter
	PublicURL  string // of this installation, for what clients are told to fetch
	Limits     Limits
	Now        func() time.Time
	Random     io.Reader
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Sockets    *Sockets // nil = there are none
}

// Door takes in what integrations and contacts ask for.
type Door struct {
	Config

	desk     *desk
	view     *view
	cable    *cable // nil where there are no sockets
	abreast  *abreast
	metrics  *metrics
	requests *limiter // by address
	searches *limiter // by account
	counts   *limiter // by account and operator
}

// New makes a Door.
func New(cfg Config) (*Door, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	desk, err := newDesk(deskConfig{
		Log: cfg.Log, Freshness: cfg.Freshness, People: cfg.People, Tickets: cfg.Tickets, Posts: cfg.Posts, Numbers: cfg.Numbers,
		Locks: cfg.Locks, Directory: cfg.Directory, Inboxes: cfg.Inboxes, Webhooks: cfg.Webhooks, Minter: cfg.Minter,
		Registerer: cfg.Registerer, Logger: cfg.Logger, Now: cfg.Now, PostsPerMinute: cmp.Or(cfg.Limits.Messages, math.MaxInt32),
	})
	if err != nil {
		return nil, err
	}
	roll := newRoll(cfg.Presence, cfg.Now, cfg.Logger)
	cfg.Presence = roll
	abreast := newAbreast(cfg.Freshness, cfg.Logger)
	cable, err := newCable(cfg, roll, abreast)
	if err != nil {
		return nil, err
	}
	return &Door{
		Config: cfg, desk: desk, metrics: m, view: newView(cfg), cable: cable, abreast: abreast,
		requests: newLimiter(cfg.Limits.Requests), searches: newLimiter(cfg.Limits.Searches), counts: newLimiter(cfg.Limits.Counts),
	}, nil
}

// The prefixes of the two APIs.
const (
	applicationPrefix = "/api/v1/accounts/{account_id}"
	clientPrefix      = "/public/api/v1/inboxes/{inbox_identifier}"
)

// need is what a caller must be to do something.
type need int

// The needs; each includes the one before it.
const (
	open  need = iota // any token
	write             // not a reader's
	admin             // an administrator's
)

// allows tells whether a caller meets the need.
func (n need) allows(c caller) bool {
	switch n {
	case open:
		return true
	case write:
		return !c.reader
	case admin:
		return c.admin
	default:
		return false
	}
}

// request is a request with what it says.
type request struct {
	*http.Request

	params *params
}

// value gives a part of the path, without the suffix that says what answer is
// wanted.
func (r *request) value(name string) string {
	v := r.PathValue(name)
	if strings.HasSuffix(r.Pattern, "{"+name+"}") {
		v = strings.TrimSuffix(v, jsonSuffix)
	}
	return v
}

// id reads a number of the path; CodeNotFound for what is none, because there can
// be nothing there.
func (r *request) id(name string) (int64, error) {
	n, err := strconv.ParseInt(r.value(name), 10, 64)
	if err != nil || n <= 0 {
		return 0, errNotThere
	}
	return n, nil
}

// maxPage bounds the pages that are looked at.
const maxPage = 1_000_000

// page reads which page is asked for, from 1, and the text that says so, which is
// "" where nothing does.
func (r *request) page() (page int, given string) {
	given, _ = r.params.text("page")
	n, ok := r.params.integer("page")
	if !ok || n < 1 {
		return 1, given
	}
	return int(min(n, maxPage)), given
}

// currentPage is how lists tell the page: the number 1 where none was asked for,
// and otherwise the text that asked (channelx.md 4.3).
func (r *request) currentPage() any {
	if _, given := r.page(); given != "" {
		return given
	}
	return 1
}

// What handlers are. A nil answer is 200 without a body.
type (
	appHandler    func(ctx context.Context, c caller, r *request) (any, error)
	publicHandler func(ctx context.Context, inbox domain.Channel, r *request) (any, error)
)

// jsonSuffix may end any path, and then means nothing (channelx.md 2.1).
const jsonSuffix = ".json"

// both puts a handler on the mux with and without the final slash, and with the
// suffix; the mux would redirect otherwise, and a redirect turns a POST into a GET
// and loses the body. Where a path ends in a variable, the suffix is part of it.
func both(mux *http.ServeMux, pattern string, handler http.HandlerFunc) {
	pattern = strings.TrimSuffix(pattern, "/")
	mux.HandleFunc(pattern, handler)
	mux.HandleFunc(pattern+"/{$}", handler)
	if !strings.HasSuffix(pattern, "}") {
		mux.HandleFunc(pattern+jsonSuffix, handler)
	}
}

// under puts a prefix before the path of a pattern.
func under(prefix, pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return method + " " + prefix + path
}

// app registers a handler of the application API below its account.
func (d *Door) app(mux *http.ServeMux, pattern string, n need, handler appHandler) {
	d.application(mux, under(applicationPrefix, pattern), d.enter, n, handler)
}

// profile registers a handler of the application API outside of any account.
func (d *Door) profile(mux *http.ServeMux, pattern string, handler appHandler) {
	d.application(mux, pattern, d.identify, open, handler)
}

func (d *Door) application(mux *http.ServeMux, pattern string, who func(*http.Request) (caller, error), n need, handler appHandler) {
	both(mux, pattern, func(w http.ResponseWriter, r *http.Request) {
		d.serve(w, r, atApplication, func(ctx context.Context) (any, error) {
			c, err := who(r)
			if err != nil {
				return nil, err
			}
			if !n.allows(c) {
				return nil, errNoRight
			}
			if err := d.abreast.wait(ctx); err != nil {
				return nil, err
			}
			return d.handle(w, r, func(r *request) (any, error) { return handler(ctx, c, r) })
		})
	})
}

// public registers a handler of the client API below its inbox.
func (d *Door) public(mux *http.ServeMux, pattern string, handler publicHandler) {
	both(mux, under(clientPrefix, pattern), func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w, r)
		d.serve(w, r, atClient, func(ctx context.Context) (any, error) {
			named := request{Request: r}
			inbox, ok := d.Inboxes.ChannelByIdentifier(named.value("inbox_identifier"))
			if !ok {
				return nil, errNotThere
			}
			if err := d.abreast.wait(ctx); err != nil {
				return nil, err
			}
			return d.handle(w, r, func(r *request) (any, error) { return handler(ctx, inbox, r) })
		})
	})
}

// serve answers a request with what do gives, unless its address has had its
// share.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, at surface, do func(context.Context) (any, error)) {
	if err := d.requests.take(addressOf(r.RemoteAddr), d.Now()); err != nil {
		d.refuse(w, r, at, err)
		return
	}
	started := d.Now()
	answer, err := do(r.Context())
	if err != nil {
		d.refuse(w, r, at, err)
		return
	}
	tell(w, http.StatusOK, answer)
	d.metrics.took(at, d.Now().Sub(started))
}

// handle reads what a request says and hands it over.
func (d *Door) handle(w http.ResponseWriter, r *http.Request, handler func(*request) (any, error)) (any, error) {
	p, err := readParams(w, r, d.maxBody())
	if err != nil {
		return nil, err
	}
	defer p.close()
	return handler(&request{Request: r, params: p})
}

// maxFiles is how many files a message may have (channelx.md 2.7).
const maxFiles = 15

// maxBody bounds a body with files, in bytes.
func (d *Door) maxBody() int64 {
	return cmp.Or(d.Limits.Attachment, DefaultLimits().Attachment)*maxFiles + maxPlainBody
}

// maySearch counts a search for contacts; CodeRateLimited when there were too many.
func (d *Door) maySearch(c caller) error { return d.searches.take(c.account.Name, d.Now()) }

// mayCount counts a count of conversations; CodeRateLimited when there were too many.
func (d *Door) mayCount(c caller) error {
	return d.counts.take(c.account.Name+"/"+strconv.FormatInt(c.operator.ID, 10), d.Now())
}

// Register puts all paths on the mux.
func (d *Door) Register(mux *http.ServeMux) {
	mux.HandleFunc("OPTIONS /public/api/", d.preflight)
	d.catch(mux, "/public/api/", atClient)
	d.catch(mux, "/api/v1/", atApplication)
	d.statusRoutes(mux)
	d.profileRoutes(mux)
	d.inboxRoutes(mux)
	d.contactRoutes(mux)
	d.labelRoutes(mux)
	d.staffRoutes(mux)
	d.webhookRoutes(mux)
	d.conversationRoutes(mux)
	d.messageRoutes(mux)
	d.clientRoutes(mux)
	d.cableRoutes(mux)
}

// preflight tells a browser that the client API may be called.
func (d *Door) preflight(w http.ResponseWriter, r *http.Request) {
	allowOrigins(w, r)
	w.WriteHeader(http.StatusOK)
}

// catch answers below a prefix what no route takes.
func (d *Door) catch(mux *http.ServeMux, prefix string, at surface) {
	mux.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
		if at == atClient {
			allowOrigins(w, r)
		}
		allowed := otherMethods(mux, r)
		if len(allowed) == 0 {
			d.refuse(w, r, at, errNotThere)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		d.refuse(w, r, at, plainError{http.StatusMethodNotAllowed, "Method Not Allowed"})
	})
}

// otherMethods lists the methods for which another route has the path of a
// request.
func otherMethods(mux *http.ServeMux, r *http.Request) []string {
	var allowed []string
	for _, method := range []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut,
	} {
		asked := *r
		asked.Method = method
		if _, pattern := mux.Handler(&asked); pattern != "" && pattern != r.Pattern {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// allowOrigins lets pages of any origin call the client API, with any method and
// header (channelx.md 2.4).
func allowOrigins(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", cmp.Or(r.Header.Get("Access-Control-Request-Headers"), "*"))
	h.Set("Access-Control-Max-Age", "7200")
	h.Add("Vary", "Access-Control-Request-Headers")
}
