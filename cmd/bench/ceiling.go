package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
)

// ceilings are what the figures are held against, each a process of its own as
// the product is. They know nothing of Parley but its adapters to the log.
var ceilings = map[string]func(context.Context, []string) error{
	"ceiling-handler": serveHandler,
	"ceiling-append":  serveAppend,
	"ceiling-client":  postAsClient,
}

// webhook is the body as the ceilings parse it.
type webhook struct {
	ChannelID string `json:"channelId"`
	ContactID string `json:"contactId"`
	Events    []struct {
		Type      string `json:"type"`
		MID       string `json:"mId"`
		Timestamp int64  `json:"timestamp"`
		Message   struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"message"`
	} `json:"events"`
	Contact struct {
		FirstName   string `json:"firstName"`
		LastName    string `json:"lastName"`
		CountryCode string `json:"countryCode"`
		Email       string `json:"email"`
		Phone       string `json:"phone"`
		Language    string `json:"language"`
	} `json:"contact"`
}

// serveHandler is a bare handler that parses the body and answers.
func serveHandler(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("ceiling-handler", flag.ContinueOnError)
	addr := flags.String("addr", "", "")
	_ = flags.String("dir", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return serveCeiling(ctx, *addr, func(context.Context, webhook, []byte) error { return nil })
}

// serveAppend is the same handler with an append behind it that is as durable as
// the product's.
func serveAppend(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("ceiling-append", flag.ContinueOnError)
	addr := flags.String("addr", "", "")
	dir := flags.String("dir", "", "")
	partitions := flags.Int("partitions", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	broker, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(*dir, "log")})
	if err != nil {
		return err
	}
	defer broker.Close()
	log := kafka.NewLog(broker.Brokers())
	defer log.Close()
	if err := log.EnsureTopic(ctx, "bench", *partitions, 1, map[string]string{"retention.ms": "-1"}); err != nil {
		return err
	}
	publisher, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: broker.Brokers(), Sync: broker.Sync, MaxBatchBytes: 2 << 20,
		Key: func(m *message.Message) string { return m.Metadata.Get("key") },
	})
	if err != nil {
		return err
	}
	defer publisher.Close()
	return serveCeiling(ctx, *addr, func(ctx context.Context, w webhook, body []byte) error {
		msg := message.NewMessage(uuid.NewString(), body)
		msg.SetContext(ctx)
		msg.Metadata.Set("key", w.ChannelID+"/"+w.ContactID)
		return publisher.Publish("bench", msg) //nolint:contextcheck // the message carries it
	})
}

func serveCeiling(ctx context.Context, addr string, take func(context.Context, webhook, []byte) error) error {
	success := []byte(`{"status":"success"}`)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST "+webhookPath, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		var in webhook
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := take(r.Context(), in, body); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(success)
	})
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// clientResult is what postAsClient prints.
type clientResult struct {
	Posted  int64   `json:"posted"`
	Seconds float64 `json:"seconds"`
}

// postAsClient posts callbacks with one http.Client whose pool has the size of
// the concurrency, and reads the answers, for a time.
func postAsClient(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("ceiling-client", flag.ContinueOnError)
	url := flags.String("url", "", "")
	workers := flags.Int("workers", 0, "")
	last := flags.Duration("for", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: *workers, MaxConnsPerHost: *workers, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
	}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	defer transport.CloseIdleConnections()
	var (
		posted  atomic.Int64
		all     sync.WaitGroup
		mu      sync.Mutex
		failure error
	)
	started := time.Now()
	for range *workers {
		all.Go(func() {
			for time.Since(started) < *last && ctx.Err() == nil {
				n := posted.Add(1)
				if err := postOnce(ctx, client, *url, int(n)); err != nil {
					mu.Lock()
					failure = err
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	if failure != nil {
		return failure
	}
	return json.NewEncoder(os.Stdout).Encode(clientResult{Posted: posted.Load(), Seconds: time.Since(started).Seconds()})
}

func postOnce(ctx context.Context, client *http.Client, url string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"channelId": "620418000017", "contactId": fmt.Sprintf("c%07d", n%1000),
		"message": map[string]string{"type": "text", "text": replyText(n)},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer 0123456789012345678901234567890123456789")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("Idempotency-Key", "6f1d5c1e-3f0c-5b8e-9a55-7a0f3a1c9e42")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	var out struct {
		MID string `json:"mId"`
	}
	if err := json.Unmarshal(answer, &out); err != nil || out.MID == "" {
		return fmt.Errorf("the receiver answered %d %q", resp.StatusCode, answer)
	}
	return nil
}
