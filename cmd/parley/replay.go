package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

type replayCommand struct {
	remote

	From         string   `help:"First time, such as 2026-03-01 or 2026-03-01T08:00:00Z." placeholder:"TIME"`
	To           string   `help:"Time to stop before." placeholder:"TIME"`
	Channel      string   `help:"Only of this channel." placeholder:"ID"`
	Type         string   `help:"Only of this stored name, or of its beginning, such as message." placeholder:"NAME"`
	Stream       string   `help:"Only of this stream, <channel id>/<contact reference>." placeholder:"STREAM"`
	KafkaBrokers []string `help:"Read the log itself, of all accounts, instead of asking a running Parley." placeholder:"HOST:PORT,..."`
	TopicPrefix  string   `help:"What the names of topics begin with." default:"parley"`
}

// Run prints events as NDJSON.
func (c replayCommand) Run(ctx context.Context, s streams) error {
	out := bufio.NewWriterSize(s.out, 64<<10)
	progress := newCounter(s.err)
	defer progress.done()
	var err error
	if len(c.KafkaBrokers) > 0 {
		err = c.fromLog(ctx, out, progress)
	} else {
		err = c.fromAPI(ctx, out, progress)
	}
	return errors.Join(err, out.Flush())
}

func (c replayCommand) fromAPI(ctx context.Context, out *bufio.Writer, progress *counter) error {
	query := url.Values{}
	for name, value := range map[string]string{"from": c.From, "to": c.To, "channel": c.Channel, "type": c.Type, "stream": c.Stream} {
		if value != "" {
			query.Set(name, value)
		}
	}
	body, err := c.open(ctx, http.MethodGet, "/v1/events?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if _, err := out.Write(line); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			progress.add()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}

func (c replayCommand) fromLog(ctx context.Context, out *bufio.Writer, progress *counter) error {
	filter := domain.EventFilter{Channel: c.Channel, Type: c.Type, Stream: c.Stream}
	var err error
	if filter.From, err = parseTime("from", c.From); err != nil {
		return err
	}
	if filter.To, err = parseTime("to", c.To); err != nil {
		return err
	}
	log := kafka.NewLog(c.KafkaBrokers)
	history := eventstore.NewHistory(eventstore.EventsTopic(c.TopicPrefix), log, kafka.PositionOf)
	err = history.Export(ctx, filter, func(line []byte) error {
		progress.add()
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return out.WriteByte('\n')
	})
	return errors.Join(err, log.Close())
}

// parseTime reads a time or a date; "" is no time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s must be a date such as 2026-03-01 or a time such as 2026-03-01T08:00:00Z", flag)
}

// counter shows on a terminal how far long work is.
type counter struct {
	w     io.Writer // nil = nobody looks
	n     int
	shown time.Time
}

func newCounter(w io.Writer) *counter {
	f, ok := w.(*os.File)
	if !ok {
		return &counter{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &counter{}
	}
	return &counter{w: w}
}

func (c *counter) add() {
	c.n++
	if c.w != nil && c.n%1000 == 0 && time.Since(c.shown) > 200*time.Millisecond {
		c.shown = time.Now()
		fmt.Fprintf(c.w, "\r%d events", c.n)
	}
}

func (c *counter) done() {
	if c.w != nil {
		fmt.Fprintf(c.w, "\r%d events\n", c.n)
	}
}
