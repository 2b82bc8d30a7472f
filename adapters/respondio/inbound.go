package respondio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// channels finds channels, in memory: the door must not wait for a database. The
// comparison of tokens takes the same time for every token.
type channels interface {
	ChannelByToken(token string) (domain.Channel, bool)
}

// appender is the log. Append returns nil once the events, which are of one
// stream, are durable: all of them or none. After an error they may or may not
// be, and may be appended again with the same ids.
type appender interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// Config wires a Door. All of it must be set but InboundRate.
type Config struct {
	Channels    channels
	Log         appender
	Now         func() time.Time
	InboundRate int // requests a second per channel, above it 429; 0 = no limit (section 3.9)
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Door takes in what integration servers post.
type Door struct {
	channels channels
	log      appender
	now      func() time.Time
	limiter  *limiter
	logger   *slog.Logger
	metrics  *metrics
	buffers  sync.Pool // of *bytes.Buffer
}

// New makes a Door.
func New(cfg Config) (*Door, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	return &Door{
		channels: cfg.Channels, log: cfg.Log, now: cfg.Now, limiter: newLimiter(cfg.InboundRate),
		logger: cfg.Logger, metrics: m, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}, nil
}

// WebhookPath is where integration servers post to (section 3.1).
const WebhookPath = "/custom/channel/webhook/"

// Register puts all paths of section 3.1 on the mux, each for every method and
// both with the final slash and without: the mux would redirect otherwise, and a
// redirect turns a POST into a GET and loses the body.
func (d *Door) Register(mux *http.ServeMux) {
	for _, path := range []string{
		"/custom/channel/webhook", "/custom/channel/webhook/{$}",
		"/custom/channel/webhook/{channelId}", "/custom/channel/webhook/{channelId}/{$}",
		"/custom/webhook", "/custom/webhook/{$}",
	} {
		mux.Handle(path, d)
	}
}

// Bounds of a body, in bytes.
const (
	maxBody     = 1 << 20  // section 3.1
	maxOverrun  = 1 << 20  // read and thrown away, so that a caller who is only writing gets to the answer
	maxKeptBody = 64 << 10 // the largest buffer that is kept for the next request
)

// ServeHTTP answers one request in the order of checks of section 3.7: method,
// token, rate, size, and what decode looks at. It answers 200 once the log has
// all events of the body. If the process dies before that, the sender repeats,
// and the derived ids make it the same messages (section 3.8).
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := d.now()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		d.metrics.answered(answer(w, http.StatusMethodNotAllowed, "the method must be POST"))
		return
	}
	ch, ok := d.channels.ChannelByToken(bearer(r.Header.Get("Authorization")))
	if !ok || ch.Dialect != domain.DialectRespondIO && ch.Dialect != domain.DialectISMessenger {
		w.Header().Set("WWW-Authenticate", "Bearer")
		d.metrics.answered(answer(w, http.StatusUnauthorized, "the header Authorization must be Bearer and the API token of a channel"))
		return
	}
	events, position, err := d.take(r, ch, started)
	if err != nil {
		d.refuse(w, r, ch, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Parley-Position", strconv.Itoa(position.Partition)+":"+strconv.FormatInt(position.Offset, 10))
	_, _ = io.WriteString(w, `{"status":"success"}`) // a caller who has gone will repeat
	d.metrics.took(events, d.now().Sub(started))
	d.logger.DebugContext(r.Context(), "webhook.accepted", "channel", ch.ID, "dialect", ch.Dialect, "events", len(events),
		"first", events[0].ID, "partition", position.Partition, "offset", position.Offset)
}

// take appends what a request says and gives the position of its last event.
func (d *Door) take(r *http.Request, ch domain.Channel, now time.Time) ([]domain.Event, domain.Position, error) {
	if !d.limiter.allow(ch.ID, now) {
		return nil, domain.Position{}, &domain.Error{
			Code: domain.CodeRateLimited, RetryAfter: time.Second,
			Message: "at most " + strconv.Itoa(d.limiter.perSecond) + " requests per second are taken on this channel",
		}
	}
	events, err := d.read(r, ch, now)
	if err != nil {
		return nil, domain.Position{}, err
	}
	positions, err := d.log.Append(r.Context(), events...)
	if err != nil {
		return nil, domain.Position{}, err
	}
	if len(positions) == 0 {
		return events, domain.Position{}, nil
	}
	return events, positions[len(positions)-1], nil
}

// read decodes a body. What is decoded keeps nothing of the buffer.
func (d *Door) read(r *http.Request, ch domain.Channel, now time.Time) ([]domain.Event, error) {
	buffer := d.buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	buffer.Reset()
	defer func() {
		if buffer.Cap() <= maxKeptBody {
			d.buffers.Put(buffer)
		}
	}()
	_, err := buffer.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	var beyond *http.MaxBytesError // a limit of the server that is below ours
	switch {
	case err == nil && buffer.Len() > maxBody:
		_, _ = io.CopyN(io.Discard, r.Body, maxOverrun) // whatever comes of it, the answer is the same
		return nil, domain.Errorf(domain.CodeTooLarge, "body must be at most %d bytes", maxBody)
	case errors.As(err, &beyond):
		return nil, domain.Errorf(domain.CodeTooLarge, "body must be at most %d bytes", beyond.Limit)
	case err != nil:
		return nil, &domain.Error{Code: domain.CodeInvalid, Message: "body ended early", Err: err}
	}
	return decode(buffer.Bytes(), r.PathValue("channelId"), ch, now)
}

// bearer gives the token of an Authorization header, "" when it is of another
// scheme. Neither the case of the scheme nor the number of spaces counts
// (section 5, 1).
func bearer(header string) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
