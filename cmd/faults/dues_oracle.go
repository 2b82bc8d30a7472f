package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// dueSkew is how far the time of an event may be off from that of whoever looks on.
	dueSkew = 500 * time.Millisecond
	// dueClaimed is how long after a decision the same one may not be in the log
	// again: who decides has claimed it for longer.
	dueClaimed = time.Second
)

// dueEvent is an event of the log.
type dueEvent struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"`
	Data    struct {
		Content struct {
			Text string `json:"text"`
		} `json:"content"`
	} `json:"data"`
}

// becoming is what the log tells of one conversation.
type becoming struct {
	texts    []string
	episodes int
	closed   []time.Time // when episodes were closed
	open     bool
	waits    bool
}

// tally is what the log tells of all of them.
type tally struct {
	of       map[string]*becoming
	decided  int             // by timers
	void     int             // closes that the contact was ahead of
	repeated int             // decisions that are in the log again, under the same id
	late     []time.Duration // how long after it was due each one was made
}

// check waits until everything that falls due has come to its end, and compares
// what was said with the log, the rows and what the integration was told.
func (d *dues) check(ctx context.Context) error {
	var sum tally
	err := until(ctx, dueClose+settleLimit, time.Second, "all that falls due is over", func() (bool, error) {
		over, err := d.over(ctx)
		if !over || err != nil {
			return false, err
		}
		sum, err = d.read(ctx, nil)
		told := d.hooks.seen()
		for contact, b := range sum.of {
			if b.waits || d.closes && (b.open || len(told[contact]) < len(b.closed)) {
				return false, err
			}
		}
		return err == nil, err
	})
	res := &d.stand.result
	if err != nil {
		res.problemf("%v", err) // what is amiss is told below
	}
	d.mu.Lock()
	said := map[string]utterance{}
	for _, u := range d.said {
		said[u.text] = u
	}
	for _, text := range d.failed {
		res.problemf("%s", text)
	}
	res.Accepted += len(said)
	res.Refused += d.counts.refused
	res.Unanswered += d.counts.unanswered
	d.mu.Unlock()
	if sum, err = d.read(ctx, said); err != nil {
		return err
	}
	for text, u := range said {
		if b := sum.of[u.contact]; b == nil || !slices.Contains(b.texts, text) {
			res.Lost++
			res.problemf("%s is not in the log, and was accepted", text)
		}
	}
	closes := 0
	for contact, b := range sum.of {
		res.Messages += len(b.texts)
		closes += len(b.closed)
		switch {
		case b.waits:
			res.problemf("%s still waits in the queue", contact)
		case b.open && d.closes:
			res.problemf("%s is left open", contact)
		}
		d.told(contact, b)
	}
	if err := d.rows(ctx, sum); err != nil {
		return err
	}
	slices.Sort(sum.late)
	res.notef("%d waits and %d closes fell due; a timer was late by p50 %s, p99 %s, at most %s; %d closes were void because the contact was ahead; %d decisions stand in the log twice, as one",
		sum.decided-closes-sum.void, closes, share(sum.late, 50), share(sum.late, 99), share(sum.late, 100), sum.void, sum.repeated)
	return nil
}

// over tells whether no row waits for a timer any more.
func (d *dues) over(ctx context.Context) (bool, error) {
	query := "handler=queue"
	if d.closes {
		query = "status=open"
	}
	var page struct {
		Data []struct{} `json:"data"`
	}
	status, raw, err := callInto(ctx, d.stand.doors.pick().url(), http.MethodGet, "/v1/conversations?limit=1&channel="+d.channel+"&"+query, "", &page)
	if err != nil || status != http.StatusOK {
		return false, fmt.Errorf("list conversations: %d %s %w", status, raw, err)
	}
	return len(page.Data) == 0, nil
}

// read folds the log. With what was said it tells what must not be.
func (d *dues) read(ctx context.Context, said map[string]utterance) (tally, error) {
	sum := tally{of: map[string]*becoming{}}
	status, raw, err := call(ctx, d.stand.doors.pick().url(), adminToken, http.MethodGet, "/v1/events?"+url.Values{"channel": {d.channel}}.Encode(), "")
	if err != nil || status != http.StatusOK {
		return sum, fmt.Errorf("read the log: %d %w", status, err)
	}
	problemf := func(string, ...any) {}
	if said != nil {
		problemf = d.stand.result.problemf
	}
	last := map[string]time.Time{}  // activity, by contact
	before := map[string]dueEvent{} // by id
	for line := range bytes.Lines(raw) {
		var e dueEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return sum, fmt.Errorf("read the log: %w: %s", err, line)
		}
		_, contact, _ := strings.Cut(e.Subject, "/")
		if first, again := before[e.ID]; again {
			if e.Type != "message.received.v1" {
				sum.repeated++
				// The very same time is one decision whose record landed twice, because the
				// log's first acknowledgement got lost.
				if gap := e.Time.Sub(first.Time).Abs(); gap > 0 && gap < dueClaimed {
					problemf("%s: %s was decided twice, %s apart", contact, e.Type, gap)
				}
			}
			continue
		}
		before[e.ID] = e
		if e.Time.After(time.Now().Add(dueSkew)) {
			problemf("%s: %s is of %s, which is to come", contact, e.Type, e.Time.Format(clockLayout))
		}
		b := sum.of[contact]
		if b == nil {
			b = &becoming{}
			sum.of[contact] = b
		}
		switch e.Type {
		case "message.received.v1":
			text := e.Data.Content.Text
			if u, ok := said[text]; ok && (e.Time.Before(u.posted.Add(-dueSkew)) || e.Time.After(u.answered.Add(dueSkew))) {
				problemf("%s was posted at %s and is in the log as of %s", text, u.posted.Format(clockLayout), e.Time.Format(clockLayout))
			}
			b.texts = append(b.texts, text)
			if !b.open {
				b.open, b.waits = true, true
				b.episodes++
			}
			last[contact] = e.Time
		case "conversation.assigned.v1":
			d.due(contact, "taken out of the queue", b.waits, e.Time.Sub(last[contact])-d.wait, &sum, problemf)
			b.waits = false
		case "conversation.closed.v1":
			late := e.Time.Sub(last[contact]) - dueClose
			if b.open && late < 0 && b.episodes > 0 && len(b.texts) > 1 {
				sum.void++ // the contact wrote after the rows had been looked at, and before this was stored
				sum.decided++
				continue
			}
			d.due(contact, "closed", b.open, late, &sum, problemf)
			b.open, b.waits = false, false
			b.closed = append(b.closed, e.Time)
		}
	}
	return sum, nil
}

// due looks at one decision of the timers.
func (d *dues) due(contact, what string, could bool, late time.Duration, sum *tally, problemf func(string, ...any)) {
	sum.decided++
	sum.late = append(sum.late, late)
	if !could {
		problemf("%s was %s, and that was over", contact, what)
	}
	if late < 0 {
		problemf("%s was %s %s before it was due", contact, what, -late)
	}
}

// told compares what the integration was told with the closes that are in the log.
func (d *dues) told(contact string, b *becoming) {
	res := &d.stand.result
	first := map[string]closing{}
	var told []closing
	for _, c := range d.hooks.seen()[contact] {
		if c.kind != "close_conversation" || c.reason != "CLOSED_BY_CLIENT_TIMEOUT" {
			res.problemf("%s: told %s %s", contact, c.kind, c.reason)
			continue
		}
		if before, again := first[c.id]; again {
			res.Duplicated++
			if !d.inFlight(before) {
				res.problemf("%s: the close was told again, and nothing was broken then", contact)
			}
			continue
		}
		first[c.id] = c
		told = append(told, c)
	}
	if len(told) < len(b.closed) {
		res.Lost += len(b.closed) - len(told)
	}
	if len(told) != len(b.closed) {
		res.problemf("%s was closed %d times, and the integration was told of %d", contact, len(b.closed), len(told))
		return
	}
	for i, c := range told {
		if c.began.Before(b.closed[i].Add(-dueSkew)) {
			res.problemf("%s: the close of %s was told at %s", contact, b.closed[i].Format(clockLayout), c.began.Format(clockLayout))
		}
	}
}

func (d *dues) inFlight(c closing) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.struck, func(s strike) bool {
		return (s.to.IsZero() || c.began.Before(s.to)) && c.ended.After(s.from.Add(-outcomeLate))
	})
}

// rows compares the rows with the log.
func (d *dues) rows(ctx context.Context, sum tally) error {
	res := &d.stand.result
	found := 0
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				ContactRef string `json:"contact_ref"`
				Status     string `json:"status"`
				Reason     string `json:"close_reason"`
				Episode    int    `json:"episode"`
				Handler    struct {
					Type string `json:"type"`
				} `json:"handler"`
			} `json:"data"`
			NextCursor string `json:"next_cursor"`
		}
		if err := d.stand.doors.read(ctx, "/v1/conversations?limit=200&channel="+d.channel+"&cursor="+url.QueryEscape(cursor), &page); err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		for _, row := range page.Data {
			found++
			b := sum.of[row.ContactRef]
			switch {
			case b == nil:
				res.problemf("%s is in the rows, and not in the log", row.ContactRef)
			case row.Episode != b.episodes || row.Handler.Type != "unassigned":
				res.problemf("%s is in the rows as episode %d of %q; it is %d by the log, and unassigned", row.ContactRef, row.Episode, row.Handler.Type, b.episodes)
			case d.closes && (row.Status != "closed" || row.Reason != "timeout"):
				res.problemf("%s is in the rows as %s %q, and closed by the log", row.ContactRef, row.Status, row.Reason)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if found != len(sum.of) {
		res.Lost += max(0, len(sum.of)-found)
		res.problemf("%d conversations in the log, and %d in the rows", len(sum.of), found)
	}
	return nil
}
