package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// webhookPath is where a respond.io integration posts.
const webhookPath = "/custom/channel/webhook/"

// fillChunk is how many events one append of fill takes.
const fillChunk = 500

// channel is a channel that was made for the bench.
type channel struct {
	ID    string `json:"id"`
	Token string `json:"api_token"`
}

// domain gives what events of the channel are made with.
func (c channel) domain() domain.Channel {
	return domain.Channel{ID: c.ID, Account: domain.DefaultAccount, Dialect: domain.DialectRespondIO, IDType: domain.IDTypeCustom}
}

// makeChannels makes channels with one callback, whose calls are limited to
// perSecond for each channel; 0 is no limit.
func (p *process) makeChannels(ctx context.Context, n int, callback string, perSecond int) ([]channel, error) {
	list := make([]channel, n)
	for i := range list {
		status, answer, err := p.call(ctx, http.MethodPost, "/v1/channels", map[string]any{
			"dialect": "respondio", "name": fmt.Sprintf("bench %d", i), "callback_url": callback,
			"id_type": "custom", "rate_per_second": perSecond,
		})
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("answered %d: %s", status, answer)
		}
		if err == nil {
			err = decode(answer, &list[i])
		}
		if err != nil {
			return nil, fmt.Errorf("make a channel: %w", err)
		}
	}
	return list, nil
}

// fill appends n events to the log of a data folder while no product runs on it.
func (b *bench) fill(ctx context.Context, data string, n int, event func(i int) domain.Event) (err error) {
	broker, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(data, "log")})
	if err != nil {
		return fmt.Errorf("open the log to fill it: %w", err)
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	log := kafka.NewLog(broker.Brokers())
	defer log.Close()
	topic := eventstore.EventsTopic(eventstore.DefaultPrefix)
	// As the product makes it; it is there unless the folder is new.
	settings := map[string]string{"retention.ms": "-1", "max.message.bytes": "4194304"}
	if err := log.EnsureTopic(ctx, topic, b.cfg.partitions, 1, settings); err != nil {
		return fmt.Errorf("make the topic to fill: %w", err)
	}
	publisher, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: broker.Brokers(), Key: eventstore.PartitionKey, MaxWaiting: 1 << 16, MaxBatchBytes: 2 << 20, Timeout: 30 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("open the log to fill it: %w", err)
	}
	defer publisher.Close()
	store, err := eventstore.New(eventstore.Config{
		Topic: topic, Publisher: publisher, Position: kafka.PositionOf, TooLarge: kafka.ErrTooLarge, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return fmt.Errorf("open the log to fill it: %w", err)
	}
	// Events of one contact have to keep their order, so one chunk follows the
	// other; making the next one overlaps with appending this one.
	chunks := make(chan []domain.Event, 2)
	var making sync.WaitGroup
	making.Go(func() {
		defer close(chunks)
		for at := 0; at < n && ctx.Err() == nil; at += fillChunk {
			chunk := make([]domain.Event, min(fillChunk, n-at))
			for i := range chunk {
				chunk[i] = event(at + i)
			}
			chunks <- chunk
		}
	})
	for chunk := range chunks {
		if err == nil {
			_, err = store.Append(ctx, chunk...)
		}
	}
	making.Wait()
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	return ctx.Err()
}

// received is the nth message of a contact in a log that is filled.
func received(ch channel, contact, n int, now time.Time) domain.Event {
	return ch.domain().Receive(contactRef(contact), fmt.Sprintf("fill-%09d", n), now,
		domain.Content{Type: domain.ContentText, Text: inboundText(n)},
		&domain.Profile{FirstName: "Marta", LastName: "Lopes", Email: "marta@example.com", CountryCode: "PT", Language: "pt"}, now)
}

// sent is a queued reply to a contact in a log that is filled.
func sent(ch channel, contact, n int, now time.Time) domain.Event {
	return ch.domain().Send(contactRef(contact), uuid.New(),
		domain.Content{Type: domain.ContentText, Text: replyText(n)}, "bench", now)
}

func contactRef(n int) string { return fmt.Sprintf("c%07d", n) }

// padding brings texts to their lengths.
var padding = strings.Repeat("Is the shop open today, and until when? ", 16)

// inboundText makes a webhook body of about 600 bytes.
func inboundText(n int) string {
	return string(digits([]byte(numbered), n, 9)) + " " + padding[:250]
}

// replyText makes a callback body of about 330 bytes, as those that the peers
// were measured with.
func replyText(n int) string {
	return string(digits([]byte(numbered), n, 9)) + " " + padding[:210]
}

// post puts a webhook of about 600 bytes into c.out: message n of a contact. All
// bodies of a channel have one length.
func (c *conn) post(ch channel, contact, n int) {
	const (
		a = `{"channelId":"`
		b = `","contactId":"c`
		d = `","events":[{"type":"message","mId":"bench-`
		e = `","timestamp":1767261600000,"message":{"type":"text","text":"` + numbered
		f = `"}}],"contact":{"firstName":"Marta","lastName":"Lopes","profilePic":"https://img.example.com/u/marta.jpg","locale":"pt_PT",` +
			`"countryCode":"PT","timezone":0,"email":"marta@example.com","phone":"+15550100","language":"pt"}}`
	)
	text := padding[:160]
	c.request(webhookPath, ch.Token, len(a)+len(ch.ID)+len(b)+7+len(d)+9+len(e)+9+1+len(text)+len(f))
	c.out = append(c.out, a...)
	c.out = append(c.out, ch.ID...)
	c.out = append(c.out, b...)
	c.out = digits(c.out, contact, 7)
	c.out = append(c.out, d...)
	c.out = digits(c.out, n, 9)
	c.out = append(c.out, e...)
	c.out = append(digits(c.out, n, 9), ' ')
	c.out = append(c.out, text...)
	c.out = append(c.out, f...)
}

// reply puts a reply in a contact's conversation into c.out.
func (c *conn) reply(ch channel, contact, n int) {
	const a, b = `{"type":"text","text":"` + numbered, `"}`
	text := padding[:210]
	c.request("/v1/conversations/"+domain.ConversationID(ch.ID, contactRef(contact)).String()+"/messages",
		adminToken, len(a)+9+1+len(text)+len(b))
	c.out = append(c.out, a...)
	c.out = append(digits(c.out, n, 9), ' ')
	c.out = append(c.out, text...)
	c.out = append(c.out, b...)
}
