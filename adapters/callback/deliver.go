package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// promptly is how soon an endpoint answers that is not taken for one that hangs.
const promptly = 2 * time.Second

// deliver makes one call and tells what it came to. Until the outcome is
// acknowledged the lane is held: if the process dies before, the call is made
// again; after, it never is. What a function replied lands with the outcome or
// not at all, so the same holds for it.
func (w *Worker) deliver(c *call) {
	l := c.lane
	t := l.tenure
	w.mu.Lock()
	d := *l.current
	w.mu.Unlock()

	started := w.cfg.Now()
	r := w.attempt(t.callCtx, c, d)
	now := w.cfg.Now()
	if !r.cut {
		r.settle(w, c, d, started, now)
	}
	event, replies, ok := w.conclude(c, r, started, now)
	if !ok {
		w.cfg.Logger.Info("delivery.cut_off", "delivery", d.ID, "channel", d.Channel, "duration_ms", now.Sub(started).Milliseconds())
		return
	}
	told := w.append(t, event, replies)
	w.observe(d, event, r.Outcome, now.Sub(started), len(replies), told)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes--
	if entry := t.sent[d.ID]; entry != nil && told {
		entry.replies = nil // they are in the log
	}
	if data, ok := event.Data.(domain.DeliveryAttempted); ok && told {
		t.settle(l, data)
	} else {
		t.giveBack(l)
	}
	t.finished()
	w.pump()
}

// conclude ends the call: its slots are free, its outcome becomes an event. A
// call that was cut off has none. What was replied is dropped if another
// worker's call has settled the delivery meanwhile: that one's replies count.
func (w *Worker) conclude(c *call, r *result, started, now time.Time) (event domain.Event, replies []domain.Event, ok bool) {
	t := c.lane.tenure
	w.mu.Lock()
	defer w.mu.Unlock()
	w.learn(c, r, started, now)
	w.ended(c, !r.cut && r.HTTPStatus != 0 && now.Sub(started) < promptly)
	defer w.pump()
	if r.cut {
		t.giveBack(c.lane)
		t.finished()
		return domain.Event{}, nil, false
	}
	w.outcomes++
	d := *c.lane.current // counted on, if another worker's outcome has come meanwhile
	event = d.Attempted(r.Outcome, c.channel.Delivery, r.wait, r.more, started, now)
	if c.lane.theirs != nil {
		r.replies = nil
	}
	if entry := t.sent[d.ID]; entry != nil {
		entry.event, entry.replies = &event, r.replies
	}
	return event, r.replies, true
}

// result is what a call came to.
type result struct {
	domain.Outcome
	cut     bool // it was cut off: it counts as not made
	dialect Dialect
	answer  domain.Answer
	wait    time.Duration // before the next try
	more    bool          // there is one
	replies []domain.Event
}

// settle plans the next try, or has the dialect tell what follows from the last one.
func (r *result) settle(w *Worker, c *call, d domain.Delivery, started, now time.Time) {
	final := r.Outcome
	if r.Verdict == domain.Retry {
		if r.wait, r.more = w.next(d, r.Outcome, c.channel.Delivery, started, now); r.more {
			return
		}
		final.Verdict = domain.Exhausted
	}
	if r.dialect == nil {
		return
	}
	var err error
	if r.replies, err = repliesOf(r.dialect, c.channel, d, r.answer, final, now); err != nil {
		// The next call would end the same way, so there is none: a person has to look.
		if r.Verdict == domain.Delivered {
			r.Verdict, r.Response = domain.Refused, r.answer.Body
		}
		r.Reason, r.Detail = domain.ReasonInternal, domain.Storable(err.Error())
	}
}

// attempt asks the dialect for the request, sends it, and has the answer read.
func (w *Worker) attempt(ctx context.Context, c *call, d domain.Delivery) *result {
	refuse := func(reason domain.Reason, detail string) *result {
		return &result{Outcome: domain.Outcome{Verdict: domain.Refused, Reason: reason, Detail: domain.Storable(detail)}}
	}
	dialect, reason, detail := dialectOf(w.cfg.Dialects, c.channel, c.known, d)
	if dialect == nil {
		return refuse(reason, detail)
	}
	if c.over {
		detail = "its age was used up while its endpoint was not called; before, it came to: " + d.LastDetail
		return &result{
			Outcome: domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonExpired, Detail: domain.Storable(detail)},
			dialect: dialect, answer: domain.Answer{Fault: domain.ReasonExpired, Detail: domain.Storable(detail)},
		}
	}
	request, err := requestOf(dialect, c.channel, d)
	if err != nil {
		r := refuse(domain.ReasonInternal, err.Error())
		r.dialect, r.answer = dialect, domain.Answer{Fault: r.Reason, Detail: r.Detail}
		return r
	}
	if request.URL == "" {
		told := domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, Detail: "nobody was called: there is no callback"}
		return &result{Outcome: told, dialect: dialect}
	}
	if c.limited {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteRequest:         func(httptrace.WroteRequestInfo) { w.wrote(c) },
			GotFirstResponseByte: func() { w.answered(c) },
		})
	}
	answer := w.sender.Send(ctx, request)
	if ctx.Err() != nil && answer.Fault != "" {
		return &result{cut: true}
	}
	return &result{Outcome: judge(dialect, d, answer, w.cfg.Now()), dialect: dialect, answer: answer}
}

// dialectOf gives the dialect that tells a delivery, nil with the reason where it
// is not told any more. known says that its channel is still there.
func dialectOf(dialects map[domain.Dialect]Dialect, ch domain.Channel, known bool, d domain.Delivery) (dialect Dialect, reason domain.Reason, detail string) {
	if d.Kind == domain.DeliverSubscription && (!known || ch.Disabled) {
		return nil, domain.ReasonUnsubscribed, "the subscription is deleted or disabled"
	}
	if !known {
		return nil, domain.ReasonChannelDeleted, "the channel was deleted"
	}
	if dialect = dialects[ch.Dialect]; dialect == nil {
		return nil, domain.ReasonInternal, fmt.Sprintf("no callbacks are made for dialect %s", ch.Dialect)
	}
	return dialect, "", ""
}

// requestOf is dialect.Request, a panic of which is an error.
func requestOf(dialect Dialect, ch domain.Channel, d domain.Delivery) (call domain.Call, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the call could not be made up: %v", r)
		}
	}()
	call, err = dialect.Request(ch, d)
	if bad, ok := errors.AsType[*url.Error](err); ok { // its words hold the URL, which may hold a secret
		err = fmt.Errorf("the address is no URL: %w", bad.Err)
	}
	return call, err
}

// repliesOf is what dialect.Replies makes of the last attempt, where it has that.
// A panic is an error, and so is an event of another stream than the outcome's:
// those two would not land together.
func repliesOf(dialect Dialect, ch domain.Channel, d domain.Delivery, a domain.Answer, o domain.Outcome, now time.Time) (events []domain.Event, err error) {
	r, ok := dialect.(replier)
	if !ok {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			events, err = nil, fmt.Errorf("what follows from the answer could not be made up: %v", p)
		}
	}()
	events = r.Replies(ch, d, a, o, now)
	stream := domain.StreamOf(d.Channel, d.ContactRef)
	for _, e := range events {
		if e.Stream() != stream {
			return nil, fmt.Errorf("what follows from the answer is of stream %s and not of %s", e.Stream(), stream)
		}
	}
	return events, nil
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
				Detail: domain.Storable(fmt.Sprintf("the answer could not be read: %v", r)),
			}
		}
	}()
	o = dialect.Outcome(d, a, now)
	if !strings.Contains(o.Detail, a.Cause) {
		o.Cause = a.Cause // the dialect has words of its own for those who talk: operators are told why
	}
	o.Detail, o.ExternalID = domain.Storable(o.Detail), domain.Storable(o.ExternalID)
	return o
}

// append puts an outcome and what was replied into the log, however long that
// takes, and tells whether it has: it gives up only when the tenure does. While the
// log is away no calls are started; each would be one more that a crash repeats.
//
// It is one append of one stream: if the process dies in it, either all of it is
// in the log or the call is made again. What the log does not take for its size
// goes piece by piece, the outcome last.
func (w *Worker) append(t *tenure, event domain.Event, replies []domain.Event) bool {
	waits := patience()
	for tries := 0; ; tries++ {
		_, err := w.cfg.Log.Append(t.tellCtx, append([]domain.Event{event}, replies...)...)
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
			// What the endpoint said is not worth its lane.
			switch {
			case data.Response != "":
				data.Response = ""
			case len(replies) > 0:
				w.cfg.Logger.Error("delivery.replies_dropped", "delivery", data.DeliveryID, "channel", event.Channel, "replies", len(replies), "error", err)
				replies = nil
			default:
				data.Detail = ""
			}
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
func (w *Worker) observe(d domain.Delivery, event domain.Event, o domain.Outcome, took time.Duration, replies int, told bool) {
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
		"delivery", d.ID, "target", d.Target(), "kind", d.Kind, "dialect", d.Dialect, "attempt", a.Attempt, "verdict", a.Verdict,
		"reason", a.Reason, "http_status", a.HTTPStatus, "duration_ms", took.Milliseconds(), "cause", a.Cause,
		"next_attempt_at", a.NextAttemptAt, "parks", a.Parks, "asked_to_wait", o.RetryAfter, "replies", replies, "told", told)
}
