package channelx

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parley-im/parley/domain"
)

// How long who asks waits for rows that are behind, and how soon they are looked
// at again when that failed.
const (
	abreastWithin = 5 * time.Second
	abreastAgain  = time.Second
)

// abreast keeps requests waiting until the rows have what the log had when this
// process began. Later nobody need wait, because commands do before they answer;
// but a database that was lost is built anew from the log, and what is not there
// yet is not missing.
type abreast struct {
	freshness freshness
	logger    *slog.Logger

	began   bool
	reached chan struct{} // closed when the rows have it
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newAbreast(f freshness, logger *slog.Logger) *abreast {
	return &abreast{freshness: f, logger: logger, reached: make(chan struct{}), cancel: func() {}}
}

// begin waits for the rows from now on, and lets requests wait until they are
// there. It is called once, before there are any.
func (a *abreast) begin(ctx context.Context) {
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.began = true
	a.running.Go(func() { a.follow(ctx) })
}

func (a *abreast) follow(ctx context.Context) {
	for {
		err := a.freshness.Fresh(ctx, rowsOf)
		if err == nil {
			close(a.reached)
			return
		}
		if ctx.Err() == nil {
			a.logger.WarnContext(ctx, "channelx.rows_behind", "dialect", domain.DialectChannelX, "error", err, "again_in", abreastAgain)
		}
		select {
		case <-time.After(abreastAgain):
		case <-ctx.Done():
			return
		}
	}
}

// wait returns when the rows can be read; CodeUnavailable when they cannot, yet.
func (a *abreast) wait(ctx context.Context) error {
	if a == nil || !a.began {
		return nil
	}
	select {
	case <-a.reached:
		return nil
	default:
	}
	timer := time.NewTimer(abreastWithin)
	defer timer.Stop()
	select {
	case <-a.reached:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return &domain.Error{Code: domain.CodeUnavailable, Message: "conversations are being read from the log; repeat the request", RetryAfter: stopping}
}

// end stops waiting for the rows.
func (a *abreast) end() {
	a.cancel()
	a.running.Wait()
}
