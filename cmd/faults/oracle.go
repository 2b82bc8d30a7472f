package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
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
	all, out, rows, err := t.settle(ctx)
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
	calls := t.calls()
	told := history{}
	for _, c := range calls {
		if c.taken {
			told.add(c.contact, c.text)
		}
	}
	inLog, inRows, atReceiver := all.places(), rows.all.places(), told.places()
	lost := map[string]bool{}
	miss := func(text, where string) {
		if !lost[text] {
			lost[text] = true
			res.problemf("%s is not in %s", text, where)
		}
	}
	outgoing := out.places()
	sent := map[string]bool{}
	for _, s := range t.posts {
		sent[s.text] = true
		_, logged := inLog[s.text]
		_, stored := inRows[s.text]
		_, received := atReceiver[s.text]
		switch {
		case s.fate == accepted:
			res.Accepted++
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
		if _, reply := outgoing[text]; reply {
			_, ok := atReceiver[text]
			if t.mayFail && !ok && rows.status[text] == "failed" {
				t.dead = append(t.dead, text)
			} else if !ok {
				miss(text, "what the receiver got")
			} else if status := rows.status[text]; status != "sent" {
				res.problemf("%s was told and its row says %q", text, status)
			}
		}
	}
	for _, text := range rows.all.without(all) {
		res.problemf("%s is in the rows, and not in the log", text)
	}
	for _, text := range told.without(out) {
		res.problemf("%s was told, and is not in the log", text)
	}
	for _, text := range rows.twice {
		res.problemf("%s is in the rows twice", text)
	}
	res.Lost += len(lost)
	res.Messages += len(inLog)
	t.checkOrder(all, rows.all, calls)
	t.checkRepeats(calls)
	return nil
}

// settle waits until rows and receiver have what the log has. When they do not in
// time it gives what there is.
func (t *traffic) settle(ctx context.Context) (all, out history, rows rowsRead, err error) {
	began, last := time.Now(), error(nil)
	for {
		all, out, err = t.readLog(ctx)
		if err == nil {
			rows, err = t.readRows(ctx)
		}
		switch {
		case err == nil && len(all.without(rows.all)) == 0 && rows.settled == len(out.places()) && t.untold(out, rows) == 0:
			return all, out, rows, nil
		case err != nil && !errors.Is(err, errAway):
			return nil, nil, rows, err
		case err != nil:
			last = err
		}
		if time.Since(began) > settleLimit {
			if err != nil {
				return nil, nil, rows, fmt.Errorf("read back what there is: not within %s: %w", settleLimit, last)
			}
			t.stand.sayf("not settled within %s", settleLimit)
			return all, out, rows, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, nil, rows, err
		}
	}
}

// untold counts the replies that have not come to their end.
func (t *traffic) untold(out history, rows rowsRead) (n int) {
	for _, text := range out.without(t.told()) {
		if !t.mayFail || rows.status[text] != "failed" {
			n++
		}
	}
	return n
}

// readLog walks through the log: all messages of the round, and the outgoing ones.
func (t *traffic) readLog(ctx context.Context) (all, out history, err error) {
	query := url.Values{"channel": {t.channel.ID}, "type": {"message"}}
	if !t.began.IsZero() {
		query.Set("from", t.began.Add(-time.Minute).UTC().Format(time.RFC3339Nano))
	}
	status, raw, err := call(ctx, t.stand.doors.pick().url(), adminToken, http.MethodGet, "/v1/events?"+query.Encode(), "")
	if err != nil || status != http.StatusOK {
		return nil, nil, fmt.Errorf("%w: the log: %d %w", errAway, status, errors.Join(err))
	}
	all, out = history{}, history{}
	for line := range bytes.Lines(raw) {
		var event struct {
			Type    string `json:"type"`
			Subject string `json:"subject"`
			Data    struct {
				ExternalID string `json:"external_id"`
				Content    struct {
					Text string `json:"text"`
				} `json:"content"`
			} `json:"data"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, nil, fmt.Errorf("read the log: %w: %s", err, line)
		}
		_, contact, _ := strings.Cut(event.Subject, "/")
		if !strings.HasPrefix(contact, t.prefix+"_") {
			continue // of another round
		}
		text := event.Data.Content.Text
		all.add(contact, text)
		if event.Type == "message.sent.v1" {
			out.add(contact, text)
		} else if event.Data.ExternalID != text {
			t.failf("%s is in the log as %s", event.Data.ExternalID, text)
		}
	}
	return all, out, nil
}

// rowsRead is what the platform API tells of a round.
type rowsRead struct {
	all     history
	status  map[string]string // of outgoing messages
	settled int               // outgoing messages that are no longer queued
	twice   []string
}

func (t *traffic) readRows(ctx context.Context) (rowsRead, error) {
	rows := rowsRead{all: history{}, status: map[string]string{}}
	for c := range t.contacts {
		contact := fmt.Sprintf("%s_c%02d", t.prefix, c)
		path := "/v1/conversations/" + domain.ConversationID(t.channel.ID, contact).String() + "/messages?limit=200&cursor="
		for cursor := ""; ; {
			var page struct {
				Data []struct {
					Direction string `json:"direction"`
					Text      string `json:"text"`
					Status    string `json:"status"`
				} `json:"data"`
				NextCursor string `json:"next_cursor"`
			}
			if err := t.stand.doors.read(ctx, path+url.QueryEscape(cursor), &page); err != nil {
				return rows, fmt.Errorf("read rows of %s: %w", contact, err)
			}
			for _, m := range page.Data {
				if slices.Contains(rows.all[contact], m.Text) {
					rows.twice = append(rows.twice, m.Text)
				}
				rows.all.add(contact, m.Text)
				if m.Direction == "out" {
					rows.status[m.Text] = m.Status
					if m.Status != "queued" {
						rows.settled++
					}
				}
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
	}
	return rows, nil
}

// calls are those of the round.
func (t *traffic) calls() []landed {
	return slices.DeleteFunc(t.receiver.seen(), func(c landed) bool { return !strings.HasPrefix(c.contact, t.prefix+"_") })
}

// told is what the receiver has taken.
func (t *traffic) told() history {
	told := history{}
	for _, c := range t.calls() {
		if c.taken {
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
		if before, ok := first[c.text]; !ok {
			first[c.text] = c
		} else if before.key != c.key || before.body != c.body {
			res.problemf("%s was told again with another id or body", c.text)
		}
		if before, ok := took[c.text]; ok {
			res.Duplicated++
			if !t.inFlight(before) {
				res.problemf("%s was told again; it had begun %s and was answered %s, and nothing was broken then", c.text,
					before.began.Format(clockLayout), before.ended.Format(clockLayout))
			}
		}
		if c.taken || c.ended.IsZero() {
			took[c.text] = c
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
