package channelx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// deskConfig is what a desk needs. All of it is required but where a comment says
// otherwise.
type deskConfig struct {
	Log        log
	Freshness  freshness
	People     people
	Tickets    tickets
	Posts      posts
	Numbers    numbers
	Locks      locks
	Directory  directory
	Inboxes    inboxes
	Webhooks   webhooks
	Minter     minter
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	Now        func() time.Time

	PostsPerMinute int // of a ticket, from wherever; 0 = no limit
}

// desk carries out commands about people and tickets. It keeps nothing between
// them: what a command decides about is what the rows say under its locks.
type desk struct {
	deskConfig

	metrics *deskMetrics
	names   *view // of accounts and operators
}

func newDesk(c deskConfig) (*desk, error) {
	m, err := newDeskMetrics(c.Registerer)
	if err != nil {
		return nil, err
	}
	return &desk{deskConfig: c, metrics: m, names: &view{directory: c.Directory, inboxes: c.Inboxes, minter: c.Minter, now: c.Now}}, nil
}

// How often a command is tried.
const (
	maxTries  = 3 // whose events were void, because the locks were lost on the way
	maxWidths = 8 // that found that they need more locks
)

// commandWithin bounds a command: who gave it is not kept waiting longer for rows
// that do not come.
const commandWithin = 20 * time.Second

// rowsOf is the projection that answers are read from.
const rowsOf = "conversations"

// decision is what a command comes to. Without events nothing happens.
type decision struct {
	events []domain.Event // of one account, so of one partition: all of them are told, or none
	// landed reads the rows once they have the events, for the answer, and tells
	// whether the events took effect.
	landed func(ctx context.Context) (bool, error)
}

// wider asks for a command to be decided again under more locks.
type wider struct{ names []string }

// Error is for nobody to see.
func (wider) Error() string { return "more locks are needed" }

// run carries out a command: decide is called under the locks, with rows that have
// all that the log had then. If this process dies before the append, nothing has
// happened; if it dies after, everything has, and only the answer is missing.
//
// A lock is lost when the connection that holds it is. Somebody else may decide
// about the same things then, and of the two decisions the second to be told is
// void, because of the revisions in it. That is seen in the rows, and the command
// is decided again from what they say now.
func (d *desk) run(ctx context.Context, kind task, account string, names []string, decide func(context.Context) (decision, error)) error {
	started := d.Now()
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	err := d.try(ctx, kind, account, names, decide)
	d.metrics.done(kind, err, d.Now().Sub(started))
	return err
}

func (d *desk) try(ctx context.Context, kind task, account string, names []string, decide func(context.Context) (decision, error)) error {
	for tries, widths := 0, 0; tries < maxTries && widths < maxWidths; {
		ok, err := d.once(ctx, account, names, decide)
		if more, is := errors.AsType[wider](err); is {
			names = append(slices.Clip(names), more.names...)
			widths++
			continue
		}
		if err != nil || ok {
			return err
		}
		tries++
		d.metrics.again(kind)
		d.Logger.WarnContext(ctx, "channelx.void", "dialect", domain.DialectChannelX, "command", kind, "account", account, "tries", tries)
	}
	return domain.Errorf(domain.CodeUnavailable, "others were changing the same things all the time")
}

// once is one try; false means that its events had no effect.
func (d *desk) once(ctx context.Context, account string, names []string, decide func(context.Context) (decision, error)) (bool, error) {
	names = domain.Sorted(names)
	release, err := d.Locks.Hold(ctx, names...)
	if err != nil {
		return false, troubled("hold the locks of a command", err)
	}
	defer release()
	if err := d.Freshness.FreshFor(ctx, domain.Event{Account: account, Dialect: domain.DialectChannelX}.PartitionKey()); err != nil {
		return false, troubled("wait for the rows of an account", err)
	}
	decided, err := decide(context.WithValue(ctx, heldKey{}, names))
	if err != nil {
		return false, troubled("decide", err)
	}
	if len(decided.events) == 0 {
		return true, nil
	}
	positions, err := d.Log.Append(ctx, decided.events...)
	if err != nil {
		// It may be in the log all the same: who gave a key finds it there.
		return false, troubled("append what was decided", err)
	}
	// From here on it has happened, whatever becomes of the answer.
	if err := d.Freshness.Reached(ctx, rowsOf, positions[len(positions)-1]); err != nil {
		return false, troubled("wait for what was decided", err)
	}
	ok, err := decided.landed(ctx)
	return ok, troubled("read what was decided", err)
}

// heldKey is the key of the names of the locks that are held, sorted, in the
// context of a decision.
type heldKey struct{}

// holding makes sure that a decision is made under some locks: it fails with a
// wish for more where it is not, and the decision is made again.
func holding(ctx context.Context, names ...string) error {
	held, _ := ctx.Value(heldKey{}).([]string)
	if slices.ContainsFunc(names, func(name string) bool { return name != "" && !slices.Contains(held, name) }) {
		return wider{names}
	}
	return nil
}

// troubled makes trouble with what the desk needs worth another try by the caller;
// refusals stay what they are.
func troubled(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[wider](err); ok || refused(err) {
		return err
	}
	if _, ok := errors.AsType[*domain.Error](err); ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return &domain.Error{Code: domain.CodeUnavailable, Message: "the request could not be carried out now", Err: fmt.Errorf("%s: %w", doing, err)}
}

// refused tells whether an error is what the wire says to the caller.
func refused(err error) bool {
	if _, ok := errors.AsType[invalidRecord](err); ok {
		return true
	}
	_, ok := errors.AsType[plainError](err)
	return ok
}

// notFound tells whether a row is not there.
func notFound(err error) bool { return domain.CodeOf(err) == domain.CodeNotFound }
