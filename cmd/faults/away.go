package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// awayFaults are the cases in which what Parley stands on is away for long.
func awayFaults() []fault {
	both := []string{onEmbedded, onKafka}
	return []fault{{
		name: "database-away", promise: "ingest needs only the log", breaks: "Postgres is away for a minute, by kill -9, and messages keep coming in",
		logs: both, rounds: 5, play: databaseAway, beside: true, slow: true,
		without: "ingest that looks at the database: none is accepted",
	}, {
		name: "log-away", promise: "a clear refusal, nothing half answered", breaks: "no broker can be reached for 20 s; nothing is restarted",
		logs: both, rounds: 10, play: logAway, beside: true, breaksKafka: true,
		without: "the error of a failed append: the answer was 200",
	}}
}

// databaseAway has messages of contacts come in while Postgres is away.
func databaseAway(ctx context.Context, r *run) error {
	s, err := r.alike(ctx, 1)
	if err != nil {
		return err
	}
	length := time.Minute
	if !r.full() {
		length = 4 * time.Second
	}
	var taken int64
	var slowest, caught time.Duration
	err = s.underLoad(ctx, func(ctx context.Context, t *traffic) error {
		if err := s.database.kill(ctx); err != nil {
			return err
		}
		before, from := t.accepted.Load(), time.Now()
		for time.Since(from) < length {
			step := time.Now()
			if err := t.reached(ctx, contacts); err != nil {
				return fmt.Errorf("while the database is away: %w", err)
			}
			slowest = max(slowest, time.Since(step))
		}
		taken += t.accepted.Load() - before
		if err := s.database.start(ctx); err != nil {
			return err
		}
		back := time.Now()
		err := until(ctx, settleLimit, 20*time.Millisecond, "the rows follow", func() (bool, error) {
			status, _, err := call(ctx, s.nodes[0].url(), "", http.MethodGet, "/readyz", "")
			return err == nil && status == http.StatusOK, nil
		})
		caught = max(caught, time.Since(back))
		return err
	})
	r.result.notef("%d posts were accepted in %d times %s without the database; %d took %s at the slowest; the node was ready %s after the database, at the slowest",
		taken, r.result.Rounds, length, contacts, slowest.Round(10*time.Millisecond), caught.Round(10*time.Millisecond))
	return err
}

// refusedWithin is how soon a post has to be refused when the log cannot be reached.
const refusedWithin = 8 * time.Second

// logAway cuts all ways to the log. Every post gets a whole answer that says when to
// come back, and is taken when the log is there again.
func logAway(ctx context.Context, r *run) error {
	s, ways, hooks, err := r.wired(ctx)
	if err != nil {
		return err
	}
	ch, err := s.makeChannels(ctx, hooks)
	if err != nil {
		return err
	}
	length := 20 * time.Second
	if !r.full() {
		length = 4 * time.Second
	}
	var slowest, back time.Duration
	err = s.each(ctx, func(ctx context.Context, n int) error {
		t := s.begin(ctx, ch, hooks, fmt.Sprintf("r%02d", n))
		err := s.disturb(ctx, t, s.moment(300*time.Millisecond, time.Second), func() error {
			if err := ways[toKafka].spoil(breakage{name: "cut"}); err != nil {
				return err
			}
			for from := time.Now(); time.Since(from) < length; {
				took, err := t.refusedClearly(ctx)
				if err != nil {
					return err
				}
				slowest = max(slowest, took)
			}
			if err := ways[toKafka].mend(ctx); err != nil {
				return err
			}
			whole := time.Now()
			err := t.reached(ctx, contacts)
			back = max(back, time.Since(whole))
			return err
		})
		if err != nil {
			return err
		}
		s.sayf("round %d/%d: %d accepted", n+1, s.rounds, t.accepted.Load())
		if t.counts.unanswered > 0 {
			r.result.problemf("%d posts got no answer", t.counts.unanswered)
		}
		return t.check(ctx)
	})
	r.result.notef("a post was refused within %s, and %d were accepted %s after the log was back, at the slowest",
		slowest.Round(10*time.Millisecond), contacts, back.Round(10*time.Millisecond))
	return err
}

// refusedClearly makes a post that cannot be taken, and tells how long the answer
// took.
func (t *traffic) refusedClearly(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	status, header, raw, err := ask(ctx, t.stand.nodes[0].url(), t.channel.Token, http.MethodPost, webhookPath, t.body("away_c00", "away"))
	took := time.Since(began)
	var body struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	switch {
	case err != nil:
		return took, fmt.Errorf("without the log: no answer: %w", err)
	case status != http.StatusServiceUnavailable || header.Get("Retry-After") == "":
		return took, fmt.Errorf("without the log: %d, Retry-After %q: %s", status, header.Get("Retry-After"), raw)
	case json.Unmarshal(raw, &body) != nil:
		return took, fmt.Errorf("without the log: half an answer: %s", raw)
	case took > refusedWithin:
		return took, fmt.Errorf("without the log: refused after %s", took)
	}
	return took, nil
}
