package channelx

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// laggard is rows that are behind until they are told otherwise.
type laggard struct {
	freshness

	asked chan struct{}
	up    chan error
}

func (l laggard) Fresh(ctx context.Context, _ string) error {
	l.asked <- struct{}{}
	select {
	case err := <-l.up:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ensure requests wait for rows that are behind, are told to come again when that
// takes too long, and never wait again once the rows were there.
func TestAbreast(t *testing.T) {
	t.Parallel()
	rows := laggard{asked: make(chan struct{}), up: make(chan error)}
	a := newAbreast(rows, slog.New(slog.DiscardHandler))
	if err := a.wait(t.Context()); err != nil {
		t.Errorf("before it has begun: %v", err)
	}
	a.begin(t.Context())
	defer a.end()
	<-rows.asked
	impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := a.wait(impatient); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("while the rows are behind: %v", err)
	}
	rows.up <- errors.New("no database")
	<-rows.asked // again, after a while
	rows.up <- nil
	if err := a.wait(t.Context()); err != nil {
		t.Errorf("when the rows are there: %v", err)
	}
}

// Ensure it ends while the rows are behind.
func TestAbreastEnds(t *testing.T) {
	t.Parallel()
	rows := laggard{asked: make(chan struct{}), up: make(chan error)}
	a := newAbreast(rows, slog.New(slog.DiscardHandler))
	a.begin(t.Context())
	<-rows.asked
	a.end()
}
