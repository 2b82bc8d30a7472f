package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// parley is a running Parley of a test: the product as dev wires it, on the
// embedded log, or on the Kafka that PARLEY_TEST_KAFKA names.
type parley struct {
	URL   string
	Token string // of the admin

	t    testing.TB
	dev  *dev
	dir  string
	set  settings
	down bool
}

// option changes the settings of a test's Parley.
type option func(*settings)

func callbackTimeout(d time.Duration) option { return func(s *settings) { s.CallbackTimeout = d } }
func inboundRate(n int) option               { return func(s *settings) { s.InboundRate = n } }
func redriveRate(n int) option               { return func(s *settings) { s.RedriveRate = n } }

// testPrefix tells the topics of tests on one shared Kafka apart.
var testPrefix atomic.Int64

const testToken = "test-admin-token-0001"

// startParley starts the product and stops it with the test.
func startParley(t testing.TB, options ...option) *parley {
	t.Helper()
	set := settings{
		Addr: "127.0.0.1:0", AdminToken: testToken, CallbackTimeout: 30 * time.Second, Roles: allRoles, MaxWaiting: 8192, RedriveRate: 200,
		TopicPrefix: "parley", DatabaseURL: pgtest.URL(t),
	}
	if brokers := os.Getenv("PARLEY_TEST_KAFKA"); brokers != "" {
		set.KafkaBrokers = strings.Split(brokers, ",")
		set.TopicPrefix = "t" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatInt(testPrefix.Add(1), 10)
		set.Partitions = 4
	}
	for _, o := range options {
		o(&set)
	}
	p := &parley{t: t, dir: t.TempDir(), set: set, Token: testToken, down: true}
	t.Cleanup(p.stop)
	p.start()
	return p
}

// start starts it, again if it was stopped, on the same data.
func (p *parley) start() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	level := slog.LevelError
	if os.Getenv("PARLEY_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(p.t.Output(), &slog.HandlerOptions{Level: level}))
	started, err := startDev(ctx, p.set, p.dir, logger, io.Discard)
	if err != nil {
		p.t.Fatalf("start Parley: %v", err)
	}
	p.dev, p.down = started, false
	p.URL = started.node.cfg.publicURL
}

// stop stops it, as Ctrl-C does.
func (p *parley) stop() {
	if p.down {
		return
	}
	p.down = true
	if err := p.dev.stop(context.Background()); err != nil {
		p.t.Errorf("stop Parley: %v", err)
	}
}

// do makes a request with a bearer token and gives status, headers and body.
func (p *parley) do(method, path, token, body string) (int, http.Header, []byte) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, raw
}
