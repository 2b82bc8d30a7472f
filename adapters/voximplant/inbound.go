package voximplant

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// Bounds of a body, in bytes.
const (
	maxBody     = 1 << 20  // section 8.3
	maxOverrun  = 1 << 20  // read and thrown away, so that a caller who is only writing gets to the answer
	maxKeptBody = 64 << 10 // the largest buffer that is kept for the next request
)

// event answers POST /{channel_uuid} (section 4) in the order of checks of section
// 8: method and path, token, body. It answers 200 once the log has the event. If
// the process dies before that, the integration repeats, and the derived id makes
// it the same message (section 4.6).
func (d *Door) event(w http.ResponseWriter, r *http.Request) {
	started := d.now()
	id, ok := canonical(r.PathValue("channel_uuid"))
	if !ok {
		d.refuse(w, r, atEvent, errNoChannel())
		return
	}
	if r.Method != http.MethodPost {
		d.onlyPost(w, atEvent)
		return
	}
	event, positions, err := d.take(r, id, started)
	if err != nil {
		d.refuse(w, r, atEvent, err, "channel", id)
		return
	}
	accepted(w, positions)
	d.metrics.took(d.now().Sub(started))
	d.logger.DebugContext(r.Context(), "kit.accepted", "channel", id, "event", event.ID, "position", where(positions))
}

// take appends what a request says and gives its position.
func (d *Door) take(r *http.Request, id string, now time.Time) (domain.Event, []domain.Position, error) {
	ch, err := d.admit(r, id)
	if err != nil {
		return domain.Event{}, nil, err
	}
	event, err := d.read(r, ch, now)
	if err != nil {
		return domain.Event{}, nil, err
	}
	positions, err := d.log.Append(r.Context(), event)
	return event, positions, err
}

// admit finds the channel of a request whose token is good for it. Whether there
// is another channel is told only to who has a token.
func (d *Door) admit(r *http.Request, id string) (domain.Channel, error) {
	token := bearer(r.Header)
	if token == "" {
		return domain.Channel{}, refused("the header Authorization must be Bearer and an access token", nil)
	}
	c, err := d.mint.read(token, typeAccess)
	if err != nil {
		return domain.Channel{}, err
	}
	ch, err := d.standing(c)
	if err != nil {
		return domain.Channel{}, err
	}
	if id != ch.ID {
		if other, ok := d.channels.Channel(id); !ok || other.Dialect != domain.DialectVoximplant {
			return domain.Channel{}, errNoChannel()
		}
		return domain.Channel{}, domain.Errorf(domain.CodeForbidden, "the access token is not that of this channel")
	}
	if ch.Disabled {
		return domain.Channel{}, errDisabled()
	}
	return ch, nil
}

// bearer gives the token of a request, "" when there is none. Neither the case of
// the scheme nor the number of spaces counts (section 3.3). The header of old
// clients counts where Authorization is not there at all (section 1).
func bearer(h http.Header) string {
	values, ok := h["Authorization"]
	if !ok {
		values = h["X-Kit-Authorization"]
	}
	if len(values) == 0 {
		return ""
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// read decodes a body. What is decoded keeps nothing of the buffer.
func (d *Door) read(r *http.Request, ch domain.Channel, now time.Time) (domain.Event, error) {
	buffer := d.buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	buffer.Reset()
	defer func() {
		if buffer.Cap() <= maxKeptBody {
			d.buffers.Put(buffer)
		}
	}()
	body, err := readAll(r, buffer, maxBody)
	if err != nil {
		return domain.Event{}, err
	}
	return decode(body, ch, now)
}

// readAll reads a body of at most limit bytes into a buffer.
func readAll(r *http.Request, buffer *bytes.Buffer, limit int64) ([]byte, error) {
	_, err := buffer.ReadFrom(io.LimitReader(r.Body, limit+1))
	var beyond *http.MaxBytesError // a limit of the server that is below ours
	switch {
	case err == nil && int64(buffer.Len()) > limit:
		_, _ = io.CopyN(io.Discard, r.Body, maxOverrun) // whatever comes of it, the answer is the same
		return nil, domain.Errorf(domain.CodeTooLarge, "body must be at most %d bytes", limit)
	case errors.As(err, &beyond):
		return nil, domain.Errorf(domain.CodeTooLarge, "body must be at most %d bytes", beyond.Limit)
	case err != nil:
		return nil, &domain.Error{Code: domain.CodeInvalid, Message: "body ended early", Err: err}
	}
	return buffer.Bytes(), nil
}
