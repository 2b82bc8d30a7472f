package callback

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// mostChecks bounds the calls of one check.
const mostChecks = 4

// checker is a Dialect that has a request of its own to try a callback with.
// Check gives the nth call, from 0, after the answer to the one before; false
// when that answer is the one that counts. It is pure.
type checker interface {
	Check(ch domain.Channel, nth int, last domain.Answer) (domain.Call, bool)
}

// Prober makes test calls to callbacks, outside of all lanes and schedules.
type Prober struct {
	Sender   *Sender
	Dialects map[domain.Dialect]Dialect
	Now      func() time.Time
}

// Probe calls a channel's callback, with the dialect's check where it has one and
// otherwise once with a text that says what it is, and tells what that came to:
// in the dialect's judgement, and where the call was no success with the HTTP
// status or the cause in the detail. An error means that no call was made.
func (p *Prober) Probe(ctx context.Context, ch domain.Channel) (domain.Outcome, error) {
	dialect, ok := p.Dialects[ch.Dialect]
	if !ok {
		return domain.Outcome{}, domain.Errorf(domain.CodeInvalid, "no callbacks are made for dialect %s", ch.Dialect)
	}
	probe := p.message
	if _, ok := dialect.(checker); ok {
		probe = p.check
	}
	o, err := probe(ctx, dialect, ch)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return domain.Outcome{}, fmt.Errorf("make a test call to channel %s: %w", ch.ID, err)
	}
	return o, nil
}

// message makes a test call with a text.
func (p *Prober) message(ctx context.Context, dialect Dialect, ch domain.Channel) (domain.Outcome, error) {
	ref := "parley-test"
	if ch.IDType == domain.IDTypePhone {
		ref = "+15550100"
	}
	id := uuid.New()
	d := domain.Delivery{
		ID: domain.DeliveryID(id), Account: ch.Account, Channel: ch.ID, Dialect: ch.Dialect, ContactRef: ref,
		MessageID: id, Conversation: domain.ConversationID(ch.ID, ref), State: domain.StatePending, CreatedAt: p.Now(),
		Kind: domain.DeliverMessage, Content: domain.Content{Type: domain.ContentText, Text: "Test message from Parley"},
	}
	call, err := requestOf(dialect, ch, d)
	if err != nil {
		return domain.Outcome{}, err
	}
	return judge(dialect, d, p.Sender.Send(ctx, call), p.Now()), nil
}

// check makes the dialect's own test calls. The last answer is judged as that to
// a delivery of no kind.
func (p *Prober) check(ctx context.Context, dialect Dialect, ch domain.Channel) (domain.Outcome, error) {
	var last domain.Answer
	for nth := range mostChecks {
		call, more, err := checkOf(dialect, ch, nth, last)
		if err != nil {
			return domain.Outcome{}, err
		}
		if !more && nth == 0 {
			return domain.Outcome{}, errNothingToCheck
		}
		if !more {
			break
		}
		last = p.Sender.Send(ctx, call)
	}
	d := domain.Delivery{Account: ch.Account, Channel: ch.ID, Dialect: ch.Dialect}
	o := judge(dialect, d, last, p.Now())
	switch {
	case o.Verdict == domain.Delivered:
	case last.Fault == "":
		o.Detail = "answered " + strconv.Itoa(last.Status)
	default:
		o.Detail = domain.Storable(last.Detail)
	}
	return o, nil
}

var errNothingToCheck = errors.New("the dialect makes no call to check it")

// checkOf is dialect.Check, a panic of which is an error.
func checkOf(dialect Dialect, ch domain.Channel, nth int, last domain.Answer) (call domain.Call, more bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the call could not be made up: %v", r)
		}
	}()
	c, ok := dialect.(checker)
	if !ok {
		return domain.Call{}, false, nil
	}
	call, more = c.Check(ch, nth, last)
	return call, more, nil
}

// Prober gives the worker's prober.
func (w *Worker) Prober() *Prober {
	return &Prober{Sender: w.sender, Dialects: w.cfg.Dialects, Now: w.cfg.Now}
}
