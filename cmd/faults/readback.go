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
)

// logRead is what the log has of a round.
type logRead struct {
	all  history
	out  history // replies
	told history // what the receiver is to be told of: replies, and what else the log says so of

	revisions map[string]int // of the ticket of each contact, in dialects that have tickets
}

func newLogRead() logRead { return logRead{history{}, history{}, history{}, map[string]int{}} }

// Events that tell of new messages.
const (
	messageReceived = "message.received.v1"
	messageSent     = "message.sent.v1"
)

// readLog walks through the log.
func (t *traffic) readLog(ctx context.Context) (logRead, error) {
	log := newLogRead()
	for _, ch := range append([]channel{t.channel}, t.channel.beside...) {
		if err := t.readLogOf(ctx, ch, log); err != nil {
			return log, err
		}
	}
	return log, nil
}

// readLogOf adds what the log has of one channel.
func (t *traffic) readLogOf(ctx context.Context, ch channel, log logRead) error {
	query := url.Values{"channel": {ch.ID}, "type": {"message"}}
	if !t.began.IsZero() {
		query.Set("from", t.began.Add(-time.Minute).UTC().Format(time.RFC3339Nano))
	}
	status, raw, err := call(ctx, t.stand.doors.pick().url(), adminToken, http.MethodGet, "/v1/events?"+query.Encode(), "")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%w: the log: %d %w", errAway, status, errors.Join(err))
	}
	for line := range bytes.Lines(raw) {
		var event logged
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("read the log: %w: %s", err, line)
		}
		if _, contact, _ := strings.Cut(event.Subject, "/"); strings.HasPrefix(contact, t.prefix+"_") { // else of another round
			t.takeIn(event, contact, log)
		}
	}
	return nil
}

// logged is what is looked at of an event.
type logged struct {
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Data    struct {
		ExternalID string `json:"external_id"`
		Content    struct {
			Text string `json:"text"`
		} `json:"content"`
		// Posted is there in dialects that have tickets.
		Posted struct {
			Targets []string `json:"targets"`
			Scene   struct {
				Ticket struct {
					Revision int `json:"revision"`
				} `json:"ticket"`
			} `json:"scene"`
		} `json:"posted"`
	} `json:"data"`
}

// takeIn adds an event of a contact. One that tells of a ticket in a revision that
// it had before came of a decision that was made too late, and is void.
func (t *traffic) takeIn(event logged, contact string, log logRead) {
	text, posted := event.Data.Content.Text, event.Data.Posted
	if event.Type != messageSent && event.Type != messageReceived {
		return // tells of no new message
	}
	if revision := posted.Scene.Ticket.Revision; revision > 0 {
		if revision <= log.revisions[contact] {
			return
		}
		log.revisions[contact] = revision
	}
	log.all.add(contact, text)
	switch {
	case event.Type == messageSent:
		log.out.add(contact, text)
		log.told.add(contact, text)
	case event.Data.ExternalID != text:
		t.failf("%s is in the log as %s", event.Data.ExternalID, text)
	case len(posted.Targets) > 0:
		log.told.add(contact, text)
	}
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
	for _, p := range t.people {
		contact := p.name
		path := "/v1/conversations/" + p.conversation.String() + "/messages?limit=200&cursor="
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
