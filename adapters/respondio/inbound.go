package respondio

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/parley-im/parley/domain"
)

// channels finds channels, in memory: the door must not wait for a database.
type channels interface {
	ChannelByToken(token string) (domain.Channel, bool)
}

// appender is the log. Append returns nil once the events are durable, all of
// them; after an error they may or may not be, and may be repeated.
type appender interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// Config wires a Door.
type Config struct {
	Channels    channels
	Log         appender
	Now         func() time.Time
	InboundRate int // requests a second per channel, above it 429; 0 = no limit (3.9)
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Door takes in what integration servers post.
type Door struct {
	cfg     Config
	metrics *metrics

	mu       sync.Mutex
	limiters map[string]*rate.Limiter // by channel; there are never more than channels
}

// New makes a Door.
func New(cfg Config) (*Door, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	return &Door{cfg: cfg, metrics: m, limiters: map[string]*rate.Limiter{}}, nil
}

// WebhookPath is where integration servers post to (3.1).
const WebhookPath = "/custom/channel/webhook/"

// Register puts all paths of 3.1 on the mux: with the final slash and without,
// since a redirect would turn a POST into a GET and lose the body.
func (d *Door) Register(mux *http.ServeMux) {
	for _, path := range []string{
		"/custom/channel/webhook", "/custom/channel/webhook/{$}", "/custom/channel/webhook/{channelId}", "/custom/channel/webhook/{channelId}/{$}",
		"/custom/webhook", "/custom/webhook/{$}",
	} {
		mux.Handle(path, d)
	}
}

// ServeHTTP answers one post, checking in the order of 3.7: method, token, rate,
// size, JSON, channelId, fields. It answers 200 once the log has all events.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		d.refuse(w, http.StatusMethodNotAllowed, "the method must be POST")
		return
	}
	ch, ok := d.cfg.Channels.ChannelByToken(bearer(r.Header.Get("Authorization")))
	if !ok || (ch.Dialect != domain.DialectRespondIO && ch.Dialect != domain.DialectISMessenger) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		d.refuse(w, http.StatusUnauthorized, "the Authorization header must be Bearer and the API token of the channel")
		return
	}
	if !d.allow(ch.ID) {
		w.Header().Set("Retry-After", "1")
		d.refuse(w, http.StatusTooManyRequests, "at most "+strconv.Itoa(d.cfg.InboundRate)+" requests per second are taken on this channel")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		d.unread(w, err)
		return
	}
	d.take(w, r, ch, raw)
}

// take is the part behind the credentials.
func (d *Door) take(w http.ResponseWriter, r *http.Request, ch domain.Channel, raw []byte) {
	b, err := parse(raw)
	if err != nil {
		d.fail(w, ch, err)
		return
	}
	id, err := b.ChannelID.required("channelId")
	if err != nil {
		d.fail(w, ch, err)
		return
	}
	if suffix := r.PathValue("channelId"); suffix != "" && suffix != id {
		d.refuse(w, http.StatusNotFound, "the path and channelId name different channels")
		return
	}
	if id != ch.ID {
		d.refuse(w, http.StatusForbidden, "channelId is not the channel of this API token")
		return
	}
	events, err := b.events(ch, d.cfg.Now())
	if err != nil {
		d.fail(w, ch, err)
		return
	}
	// If the process dies before the answer, the sender repeats, and the derived
	// ids make that the same messages (3.8).
	positions, err := d.cfg.Log.Append(r.Context(), events...)
	if err != nil {
		d.fail(w, ch, err)
		return
	}
	d.metrics.took(events)
	last := positions[len(positions)-1]
	w.Header().Set("Parley-Position", strconv.Itoa(last.Partition)+":"+strconv.FormatInt(last.Offset, 10))
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"success"}`) // a caller who has gone will repeat
	d.metrics.answered[http.StatusOK].Inc()
}

// allow takes a token from the channel's bucket (3.9).
func (d *Door) allow(channel string) bool {
	if d.cfg.InboundRate <= 0 {
		return true
	}
	d.mu.Lock()
	limiter := d.limiters[channel]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(d.cfg.InboundRate), d.cfg.InboundRate)
		d.limiters[channel] = limiter
	}
	d.mu.Unlock()
	return limiter.AllowN(d.cfg.Now(), 1)
}

// bearer gives the token of an Authorization header, "" when it is of another
// scheme. Case of the scheme and the number of spaces do not count (5, rule 1).
func bearer(header string) string {
	scheme, token, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// unread answers a body that could not be read to its end.
func (d *Door) unread(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		d.refuse(w, http.StatusRequestEntityTooLarge, "the body must be at most "+strconv.Itoa(maxBody)+" bytes")
		return
	}
	d.refuse(w, http.StatusBadRequest, "the body ended early")
}

// statusOf maps the codes of errors to 3.7.
func statusOf(code domain.Code) int {
	switch code {
	case domain.CodeInvalid, domain.CodeConflict:
		return http.StatusBadRequest
	case domain.CodeUnauthorized:
		return http.StatusUnauthorized
	case domain.CodeForbidden:
		return http.StatusForbidden
	case domain.CodeNotFound:
		return http.StatusNotFound
	case domain.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case domain.CodeRateLimited:
		return http.StatusTooManyRequests
	case domain.CodeUnavailable:
		return http.StatusServiceUnavailable
	case domain.CodeInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// fail answers an error.
func (d *Door) fail(w http.ResponseWriter, ch domain.Channel, err error) {
	status := statusOf(domain.CodeOf(err))
	told := "internal error"
	var e *domain.Error
	if errors.As(err, &e) {
		told = e.Error()
		if e.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
		}
	}
	if status >= http.StatusInternalServerError {
		d.cfg.Logger.Warn("webhook.failed", "channel", ch.ID, "status", status, "error", err, "cause", errors.Unwrap(err))
	}
	d.refuse(w, status, told)
}

// refusal is the shape of every error (3.7): it serves readers of both styles.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Error   struct {
		Message string `json:"message"`
	} `json:"error"`
}

func (d *Door) refuse(w http.ResponseWriter, status int, told string) {
	body := refusal{Code: status, Message: told}
	body.Error.Message = told
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller who has gone needs no answer
	if c := d.metrics.answered[status]; c != nil {
		c.Inc()
	}
}
