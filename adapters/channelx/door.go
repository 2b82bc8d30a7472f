package channelx

import (
	"cmp"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

// defaultAttachment is how large a file may be where nothing else is said, in bytes.
const defaultAttachment = 40 << 20

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
		Registerer: cfg.Registerer, Logger: cfg.Logger, Now: cfg.Now, PostsPerMinute: cfg.Limits.Messages,
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

// maxFiles is how many files a message may have (channelx.md 2.7).
const maxFiles = 15

// maxAttachment bounds a file, in bytes.
func (d *Door) maxAttachment() int64 { return cmp.Or(d.Limits.Attachment, defaultAttachment) }

// maxBody bounds a body with files, in bytes.
func (d *Door) maxBody() int64 {
	return d.maxAttachment()*maxFiles + maxPlainBody
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

// MaxBody bounds the body of a request, in bytes; 0 where it is none of the door's.
// Only those with files may be large.
func (d *Door) MaxBody(r *http.Request) int64 {
	if !strings.HasPrefix(r.URL.Path, "/api/v1/") && !strings.HasPrefix(r.URL.Path, "/public/api/") {
		return 0
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return maxPlainBody
	}
	return d.maxBody()
}

// Lasts tells whether a request has no end in sight: a socket.
func (d *Door) Lasts(r *http.Request) bool {
	return strings.TrimSuffix(r.URL.Path, "/") == "/cable"
}
