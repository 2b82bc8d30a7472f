package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptrace"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// promptly is how soon an endpoint answers that is not taken for one that hangs.
const promptly = 2 * time.Second

// deliver makes one call and tells what it came to. Until the outcome is
// acknowledged the lane is held: if the process dies before, the call is made
// again; after, it never is.
func (w *Worker) deliver(c *call) {
	l := c.lane
	t := l.tenure
	w.mu.Lock()
	d := *l.current
	w.mu.Unlock()

	started := w.cfg.Now()
	outcome, cut := w.attempt(t.callCtx, c, d)
	now := w.cfg.Now()
	event, ok := w.conclude(c, outcome, cut, started, now)
	if !ok {
		w.cfg.Logger.Info("delivery.cut_off", "delivery", d.ID, "channel", d.Channel, "duration_ms", now.Sub(started).Milliseconds())
		return
	}
	told := w.append(t, event)
	w.observe(d, event, outcome, now.Sub(started), told)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes--
	if data, ok := event.Data.(domain.DeliveryAttempted); ok && told {
		t.settle(l, data)
	} else {
		t.giveBack(l)
	}
	t.finished()
	w.pump()
}

// conclude ends the call: its slots are free, its outcome becomes an event. A
// call that was cut off has none.
func (w *Worker) conclude(c *call, o domain.Outcome, cut bool, started, now time.Time) (domain.Event, bool) {
	t := c.lane.tenure
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended(c, !cut && o.HTTPStatus != 0 && now.Sub(started) < promptly)
	defer w.pump()
	if cut {
		t.giveBack(c.lane)
		t.finished()
		return domain.Event{}, false
	}
	w.outcomes++
	d := *c.lane.current // counted on, if another worker's outcome has come meanwhile
	wait, more := time.Duration(0), false
	if o.Verdict == domain.Retry {
		wait, more = w.next(d, o, c.channel.Delivery, started, now)
	}
	event := d.Attempted(o, c.channel.Delivery, wait, more, started, now)
	if entry := t.sent[d.ID]; entry != nil {
		entry.event = &event
	}
	return event, true
}

// attempt asks the dialect for the request, sends it, and has the answer read.
func (w *Worker) attempt(ctx context.Context, c *call, d domain.Delivery) (o domain.Outcome, cut bool) {
	if !c.known {
		return domain.Outcome{
			Verdict: domain.Refused, Reason: domain.ReasonChannelDeleted, Detail: "the channel was deleted",
		}, false
	}
	dialect, ok := w.cfg.Dialects[c.channel.Dialect]
	if !ok {
		return domain.Outcome{
			Verdict: domain.Refused, Reason: domain.ReasonInternal,
			Detail: fmt.Sprintf("no callbacks are made for dialect %s", c.channel.Dialect),
		}, false
	}
	request, err := requestOf(dialect, c.channel, d)
	if err != nil {
		return domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonInternal, Detail: printable(err.Error())}, false
	}
	if c.limited {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteRequest:         func(httptrace.WroteRequestInfo) { w.wrote(c) },
			GotFirstResponseByte: func() { w.answered(c) },
		})
	}
	answer := w.sender.Send(ctx, request)
	if ctx.Err() != nil && answer.Fault != "" {
		return domain.Outcome{}, true
	}
	return judge(dialect, d, answer, w.cfg.Now()), false
}

// requestOf is dialect.Request, a panic of which is an error.
func requestOf(dialect Dialect, ch domain.Channel, d domain.Delivery) (call domain.Call, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the call could not be made up: %v", r)
		}
	}()
	return dialect.Request(ch, d)
}

// judge is dialect.Outcome, made fit to be kept. An address that the operator
// does not allow is refused for good: nothing at the far side can change that.
func judge(dialect Dialect, d domain.Delivery, a domain.Answer, now time.Time) (o domain.Outcome) {
	if a.Fault == domain.ReasonAddressRefused {
		return domain.Outcome{Verdict: domain.Refused, Reason: a.Fault, Detail: a.Detail}
	}
	defer func() {
		if r := recover(); r != nil {
			o = domain.Outcome{
				Verdict: domain.Retry, Reason: domain.ReasonInternal, HTTPStatus: a.Status, Response: a.Body,
				Detail: printable(fmt.Sprintf("the answer could not be read: %v", r)),
			}
		}
	}()
	o = dialect.Outcome(d, a, now)
	o.Detail, o.ExternalID = printable(o.Detail), printable(o.ExternalID)
	return o
}

// printable makes a text of unknown origin fit for every store.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// append puts an event into the log, however long that takes, and tells whether
// it has: it gives up only when the tenure does. While the log is away no calls
// are started; each would be one more that a crash repeats.
func (w *Worker) append(t *tenure, event domain.Event) bool {
	waits := patience()
	for tries := 0; ; tries++ {
		_, err := w.cfg.Log.Append(t.tellCtx, event)
		if err == nil {
			w.back(tries)
			return true
		}
		w.metrics.appendErrors.Inc()
		if tries == 0 {
			w.mu.Lock()
			w.away++
			w.mu.Unlock()
			w.cfg.Logger.Warn("delivery.outcome_untold", "channel", event.Channel, "event", event.ID, "error", err)
		}
		if data, ok := event.Data.(domain.DeliveryAttempted); ok && unfit(err) {
			data.Response, data.Detail = "", "" // what the endpoint said is not worth its lane
			event.Data = data
		}
		if !pause(t.tellCtx.Done(), waits.NextBackOff()) {
			w.back(1)
			return false
		}
	}
}

// unfit tells that the log will never take an event as it is.
func unfit(err error) bool {
	var e *domain.Error
	return errors.As(err, &e) && (e.Code == domain.CodeTooLarge || e.Code == domain.CodeInvalid)
}

// back ends the pause that append has begun with its first failure.
func (w *Worker) back(tries int) {
	if tries == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away--; w.away == 0 {
		w.pump()
	}
}

// observe counts and logs one attempt: one line, whatever it came to.
func (w *Worker) observe(d domain.Delivery, event domain.Event, o domain.Outcome, took time.Duration, told bool) {
	a, ok := event.Data.(domain.DeliveryAttempted)
	if !ok {
		return
	}
	w.metrics.attempted(d, a, took, event.Time)
	level := slog.LevelInfo
	if a.Verdict == domain.Delivered {
		level = slog.LevelDebug // counted; told one by one only to who asks
	}
	w.cfg.Logger.Log(context.Background(), level, "delivery.attempted",
		"delivery", d.ID, "channel", d.Channel, "dialect", d.Dialect, "attempt", a.Attempt, "verdict", a.Verdict,
		"reason", a.Reason, "http_status", a.HTTPStatus, "duration_ms", took.Milliseconds(),
		"next_attempt_at", a.NextAttemptAt, "parks", a.Parks, "asked_to_wait", o.RetryAfter, "told", told)
}
