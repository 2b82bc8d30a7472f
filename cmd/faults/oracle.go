package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// settleLimit is how long rows and callbacks may take to come up with the log
	// when nothing is broken any more: leases of killed nodes have to end first.
	settleLimit = 90 * time.Second
	// outcomeLate is how long before a fault a call may have been answered and still
	// count as in flight: its outcome has to reach the log.
	outcomeLate = 3 * time.Second
)

// history is what one place holds of a round: the texts of each contact, in order,
// each once.
type history map[string][]string

// place tells where a text stands.
func (h history) places() map[string]int {
	places := map[string]int{}
	for _, texts := range h {
		for at, text := range texts {
			places[text] = at
		}
	}
	return places
}

func (h history) add(contact, text string) {
	if !slices.Contains(h[contact], text) {
		h[contact] = append(h[contact], text)
	}
}

// without gives the texts of one history that another lacks.
func (h history) without(other history) (texts []string) {
	has := other.places()
	for _, list := range h {
		for _, text := range list {
			if _, ok := has[text]; !ok {
				texts = append(texts, text)
			}
		}
	}
	slices.Sort(texts)
	return texts
}

// check ends the round: when rows and callbacks have come up with the log it
// compares all of them with what was sent, and adds the round to the result.
func (t *traffic) check(ctx context.Context) error {
	log, rows, err := t.settle(ctx)
	if err != nil {
		return err
	}
	res := &t.stand.result
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, text := range t.failed {
		res.problemf("%s", text)
	}
	res.Refused += t.counts.refused
	res.Unanswered += t.counts.unanswered
	calls, told := t.calls(), t.told()
	inLog, inRows, atReceiver := log.all.places(), rows.all.places(), told.places()
	lost := map[string]bool{}
	miss := func(text, where string) {
		if !lost[text] {
			lost[text] = true
			res.problemf("%s is not in %s", text, where)
		}
	}
	outgoing, promised := log.out.places(), log.told.places()
	sent := map[string]bool{}
	for _, s := range t.posts {
		sent[s.text] = true
		_, logged := inLog[s.text]
		_, stored := inRows[s.text]
		_, received := atReceiver[s.text]
		switch {
		case s.fate == accepted:
			res.Accepted++
			if t.stand.spoken != nil {
				t.stand.spoken[s.dialect]++
			}
			if !logged {
				miss(s.text, "the log, and was accepted")
			}
		case s.fate == invalid && (logged || stored || received):
			res.problemf("%s was not to be taken, and was: log %t, rows %t, receiver %t", s.text, logged, stored, received)
		}
	}
	for text := range inLog {
		if !sent[text] {
			res.problemf("%s is in the log, and nobody sent it", text)
		}
		if _, ok := inRows[text]; !ok {
			miss(text, "the rows")
		}
		if _, ok := promised[text]; ok {
			_, reply := outgoing[text]
			_, ok := atReceiver[text]
			if t.mayFail && !ok && rows.status[text] == "failed" {
				t.dead = append(t.dead, text)
			} else if !ok {
				miss(text, "what the receiver got")
			} else if status := rows.status[text]; reply && status != "sent" {
				res.problemf("%s was told and its row says %q", text, status)
			}
		}
	}
	for _, text := range rows.all.without(log.all) {
		res.problemf("%s is in the rows, and not in the log", text)
	}
	for _, text := range told.without(log.told) {
		res.problemf("%s was told, and the log does not say so", text)
	}
	for _, text := range rows.twice {
		res.problemf("%s is in the rows twice", text)
	}
	res.Lost += len(lost)
	res.Messages += len(inLog)
	t.checkOrder(log.all, rows.all, calls)
	t.checkRepeats(calls)
	return nil
}

// settle waits until rows and receiver have what the log has. When they do not in
// time it gives what there is.
func (t *traffic) settle(ctx context.Context) (log logRead, rows rowsRead, err error) {
	began, last := time.Now(), error(nil)
	for {
		log, err = t.readLog(ctx)
		if err == nil {
			rows, err = t.readRows(ctx)
		}
		switch {
		case err == nil && len(log.all.without(rows.all)) == 0 && rows.settled == len(log.out.places()) && t.untold(log, rows) == 0:
			return log, rows, nil
		case err != nil && !errors.Is(err, errAway):
			return log, rows, err
		case err != nil:
			last = err
		}
		if time.Since(began) > settleLimit {
			if err != nil {
				return log, rows, fmt.Errorf("read back what there is: not within %s: %w", settleLimit, last)
			}
			t.stand.sayf("not settled within %s", settleLimit)
			return log, rows, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return log, rows, err
		}
	}
}

// untold counts the messages that have yet to be told.
func (t *traffic) untold(log logRead, rows rowsRead) (n int) {
	for _, text := range log.told.without(t.told()) {
		if !t.mayFail || rows.status[text] != "failed" {
			n++
		}
	}
	return n
}

// calls are those of the round.
func (t *traffic) calls() []landed {
	return slices.DeleteFunc(t.receiver.seen(), func(c landed) bool { return !strings.HasPrefix(c.contact, t.prefix+"_") })
}

// told is what the receiver has taken.
func (t *traffic) told() history {
	told := history{}
	for _, c := range t.calls() {
		if c.taken && c.text != "" {
			told.add(c.contact, c.text)
		}
	}
	return told
}

// checkOrder compares orders: the log's with that in which posts were accepted, the
// rows' with the log's, and that of the calls with the log's. A call may repeat the
// one before it, and never one further back.
func (t *traffic) checkOrder(all, rows history, calls []landed) {
	res := &t.stand.result
	inLog := all.places()
	last := map[string]int{}
	step := func(contact, text, what string) {
		at, ok := inLog[text]
		if !ok {
			return // told already
		}
		if before, ok := last[contact]; ok && at < before {
			res.Reordered++
			res.problemf("%s %s after %s, which follows it in the log", text, what, all[contact][before])
		}
		last[contact] = at
	}
	for _, s := range t.posts {
		if s.fate == accepted {
			step(s.contact, s.text, "was accepted")
		}
	}
	clear(last)
	for contact, texts := range rows {
		for _, text := range texts {
			step(contact, text, "stands in the rows")
		}
	}
	clear(last)
	for _, c := range calls {
		step(c.contact, c.text, "was told")
	}
}

// checkRepeats counts calls that were made again after they had been taken. Those
// that were in flight at a fault may be, with the same id and the same body.
func (t *traffic) checkRepeats(calls []landed) {
	res := &t.stand.result
	first, took := map[string]landed{}, map[string]landed{}
	for _, c := range calls {
		what := cmp.Or(c.text, c.id)
		if before, ok := first[what]; !ok {
			first[what] = c
		} else if before.id != c.id || before.body != c.body {
			res.problemf("%s was told again with another id or body", what)
		}
		if before, ok := took[what]; ok {
			res.Duplicated++
			if !t.inFlight(before) {
				res.problemf("%s was told again; it had begun %s and was answered %s, and nothing was broken then", what,
					before.began.Format(clockLayout), before.ended.Format(clockLayout))
			}
		}
		if c.taken || c.ended.IsZero() {
			took[what] = c
		}
	}
}

const clockLayout = "15:04:05.000"

// inFlight tells whether a call was under way while something was broken.
func (t *traffic) inFlight(c landed) bool {
	return slices.ContainsFunc(t.struck, func(s strike) bool {
		begunInTime := s.to.IsZero() || c.began.Before(s.to)
		return begunInTime && (c.ended.IsZero() || c.ended.After(s.from.Add(-outcomeLate)))
	})
}
