package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/parley-im/parley/domain"
)

const tagEvents = "Events"

const ndjsonType = "application/x-ndjson"

// Bounds of exports.
const (
	mostExports   = 4                // at the same time: each walks the log
	exportFlush   = 64 << 10         // bytes that are sent together
	exportTimeout = 30 * time.Second // for a part to be taken by the caller
	busyExports   = 5 * time.Second  // told as Retry-After
)

type eventsInput struct {
	From    string `query:"from" maxLength:"64" doc:"From this on, inclusive: an RFC 3339 time, a date (00:00 UTC), or a position partition:offset (only that partition is read)." example:"2026-03-01"`
	To      string `query:"to" maxLength:"64" doc:"Up to this, exclusive: a time, a date (00:00 UTC) or a position. Absent: the log's end as of the request." example:"2026-04-01"`
	Channel string `query:"channel" maxLength:"64" doc:"Only events of this channel."`
	Type    string `query:"type" maxLength:"100" doc:"Only events of this stored name, or of names that begin with it up to a dot." example:"message.received.v1"`
	Stream  string `query:"stream" maxLength:"400" doc:"Only events of this stream: <channel id>/<contact reference>."`
}

type eventsOutput struct {
	ContentType string `header:"Content-Type"`
	Body        func(huma.Context)
}

func (p *platform) eventRoutes() {
	handle(p, operation{
		id: "export-events", method: http.MethodGet, path: "/v1/events", tag: tagEvents, need: domain.RoleReader,
		summary: "Walk through the log", problems: []int{http.StatusTooManyRequests},
		description: "Answers NDJSON (" + ndjsonType + "): one CloudEvents JSON document a line, with partition and offset. " +
			"Events of one conversation come in the order in which they happened. " +
			"When the walk fails on the way the connection is cut before the end of the answer.",
	}, p.exportEvents)
	p.huma.OpenAPI().Paths["/v1/events"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		ndjsonType: {Schema: &huma.Schema{Type: huma.TypeString}},
	}
}

// exportEvents checks the request and gives the function that streams.
func (p *platform) exportEvents(_ context.Context, c caller, in *eventsInput) (*eventsOutput, error) {
	f := domain.EventFilter{Account: c.Account, Channel: in.Channel, Stream: in.Stream, Type: in.Type}
	channel, _, _ := domain.SplitStream(in.Stream)
	if ch, ok := p.Channels.Channel(channel); !ok || !ch.Dialect.HasEpisodes() {
		f.Stream = unspaced(in.Stream)
	}
	var err error
	if f.From, f.FromPosition, err = parsePoint("from", in.From); err != nil {
		return nil, err
	}
	if f.To, f.ToPosition, err = parsePoint("to", in.To); err != nil {
		return nil, err
	}
	if f.FromPosition != nil && f.ToPosition != nil && f.FromPosition.Partition != f.ToPosition.Partition {
		return nil, badParameter("query", "to", "must be in the same partition as from")
	}
	return &eventsOutput{ContentType: ndjsonType, Body: func(ctx huma.Context) { //nolint:contextcheck // it comes with its own
		_, w := humago.Unwrap(ctx)
		select {
		case p.exports <- struct{}{}:
			defer func() { <-p.exports }()
		default:
			problemOf(&domain.Error{
				Code: domain.CodeRateLimited, Message: "As many exports as this node allows are running; repeat the request.", RetryAfter: busyExports,
			}).write(w)
			return
		}
		p.stream(ctx.Context(), w, f)
	}}, nil
}

// stream writes the events that pass. The answer begins with the first part that
// is sent, so a walk that fails at once is told as a problem.
func (p *platform) stream(ctx context.Context, w http.ResponseWriter, f domain.EventFilter) {
	conn := http.NewResponseController(w)
	begun := false
	part := make([]byte, 0, exportFlush+4096)
	send := func() error {
		// Writers without deadlines exist only in tests.
		_ = conn.SetWriteDeadline(time.Now().Add(exportTimeout))
		begun = true
		_, err := w.Write(part)
		part = part[:0]
		return err
	}
	err := p.History.Export(ctx, f, func(line []byte) error {
		part = append(append(part, line...), '\n')
		if len(part) < exportFlush {
			return nil
		}
		return send()
	})
	switch {
	case err == nil:
		// An error here is a caller who has gone.
		_ = send()
	case !begun:
		p.told(ctx, "export-events", err).write(w)
	default:
		if ctx.Err() == nil {
			p.log.Warn("api.export_cut", "account", f.Account, "error", err)
		}
		// Nothing more gets through, so the caller does not see a proper end and
		// cannot take the part for the whole.
		_ = conn.SetWriteDeadline(time.Unix(1, 0))
	}
}

// parsePoint reads a place in the log: a time, a date or a position.
func parsePoint(field, text string) (time.Time, *domain.Position, error) {
	if text == "" {
		return time.Time{}, nil, nil
	}
	if position, ok := parsePosition(text); ok {
		return time.Time{}, &position, nil
	}
	// A plus sign of a zone that was not escaped arrives as a space.
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, strings.Replace(text, " ", "+", 1)); err == nil {
			return t.UTC(), nil, nil
		}
	}
	return time.Time{}, nil, badParameter("query", field, "must be an RFC 3339 time, a date or partition:offset")
}
