package voximplant

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// channels finds channels as they are now, in memory: events must not wait for a
// database. The channel of a disabled account is disabled.
type channels interface {
	Channel(id string) (domain.Channel, bool)
}

// accounts finds accounts, in memory.
type accounts interface {
	Account(name string) (domain.Account, bool)
}

// apiTokens finds the API tokens of an account, in memory: by id also those that
// are revoked, by value only those that are not. The comparison of values takes
// the same time for every value.
type apiTokens interface {
	APIToken(account, id string) (domain.APIToken, bool)
	APITokenByValue(account, value string) (domain.APIToken, bool)
}

// appender is the log. Append returns nil once the events, which are of one
// stream, are durable: all of them or none. After an error they may or may not
// be, and may be appended again with the same ids.
type appender interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// conversations finds a conversation of any account; CodeNotFound when there is
// none.
type conversations interface {
	ConversationByID(ctx context.Context, id uuid.UUID) (domain.Conversation, error)
}

// freshness waits until a projection has what the log holds as of now.
type freshness interface {
	Fresh(ctx context.Context, projection string) error
}

// Config wires a Door. All of it must be set. Conversations and Freshness are
// needed only by functions that answer later.
type Config struct {
	Channels      channels
	Accounts      accounts
	APITokens     apiTokens
	Keys          signKeys
	Directory     directory
	Log           appender
	Conversations conversations
	Freshness     freshness
	Now           func() time.Time
	Random        io.Reader
	Logger        *slog.Logger
	Registerer    prometheus.Registerer
}

// Door takes in what integrations post, and what functions answer later.
type Door struct {
	channels      channels
	accounts      accounts
	apiTokens     apiTokens
	log           appender
	conversations conversations
	freshness     freshness
	now           func() time.Time
	logger        *slog.Logger
	metrics       *metrics
	limiter       *limiter
	mint          *mint
	veil          *veil
	commands      *commands
	buffers       sync.Pool // of *bytes.Buffer
}

// New makes a Door.
func New(cfg Config) (*Door, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	keys := &keyring{keys: cfg.Keys, random: cfg.Random}
	return &Door{
		channels: cfg.Channels, accounts: cfg.Accounts, apiTokens: cfg.APITokens, log: cfg.Log,
		conversations: cfg.Conversations, freshness: cfg.Freshness, now: cfg.Now, logger: cfg.Logger,
		metrics: m, limiter: newLimiter(), mint: newMint(keys, cfg.Random, cfg.Now), veil: &veil{keys},
		commands: &commands{cfg.Directory, cfg.Logger}, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}, nil
}

// Register puts all paths of section 1 on the mux, each for every method and both
// with the final slash and without: the mux would redirect otherwise, and a
// redirect turns a POST into a GET and loses the body.
//
// Channels are at the root, where the other routes of the server are. More
// special ones win over /{channel_uuid}; what else has one segment comes to
// unknown.
func (d *Door) Register(mux *http.ServeMux) {
	both := func(path string, handler http.HandlerFunc) {
		mux.HandleFunc(path, handler)
		mux.HandleFunc(path+"/{$}", handler)
	}
	both("/api/v3/botService/login", d.login)
	both("/api/v3/botService/refreshToken", d.refresh)
	both("/api/v3/botService/sendResponse", d.respond)
	both("/api/v3/botService/callback/{channel_uuid}", d.event)
	both("/api/v3/{channel_uuid}", d.event)
	both("/{channel_uuid}", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := canonical(r.PathValue("channel_uuid")); ok {
			d.event(w, r)
			return
		}
		d.unknown(mux, w, r)
	})
}

// unknown answers at a path of one segment that is no channel's: as if this route
// were not there, but for a POST that nothing else knows, which comes from an
// integration.
func (d *Door) unknown(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	mine := r.Pattern
	if allowed := otherMethods(mux, r, mine); len(allowed) > 0 {
		r.Pattern = "" // no route took it
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	if r.Method == http.MethodPost {
		d.refuse(w, r, atEvent, errNoChannel())
		return
	}
	r.Pattern = ""
	http.NotFound(w, r)
}

// otherMethods lists the methods for which another route has the path.
func otherMethods(mux *http.ServeMux, r *http.Request, mine string) []string {
	var allowed []string
	for _, method := range []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut,
	} {
		asked := *r
		asked.Method = method
		if _, pattern := mux.Handler(&asked); pattern != mine && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return slices.Clip(allowed)
}

func errNoChannel() error {
	return domain.Errorf(domain.CodeNotFound, "there is no such channel")
}
