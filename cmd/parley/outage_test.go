package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/postgres"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// channel makes a channel.
func (p *parley) channel(body string) channelAnswer {
	p.t.Helper()
	status, _, raw := p.do(http.MethodPost, "/v1/channels", p.Token, body)
	var ch channelAnswer
	if status != http.StatusCreated || json.Unmarshal(raw, &ch) != nil {
		p.t.Fatalf("create channel: %d %s", status, raw)
	}
	return ch
}

// freePort is a port that nobody listens on at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestLogAway: without the log nothing is accepted and the sender is told so, in
// its dialect's shape; when the log is back Parley goes on without a restart.
func TestLogAway(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	start := func() *embedded.Log {
		log, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	log := start()
	p := startParley(t, func(s *settings) {
		s.KafkaBrokers, s.TopicPrefix, s.Partitions = []string{"127.0.0.1:" + strconv.Itoa(port)}, "parley", 2
	})
	ch := p.channel(`{"dialect":"respondio","name":"Away","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	post := func(id string) (int, http.Header, []byte) {
		return p.do(http.MethodPost, "/custom/channel/webhook/", ch.APIToken, inboundBody(ch.ID, "+15550100", id))
	}
	if status, _, raw := post("before"); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, raw)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	status, header, raw := post("away")
	var refused struct {
		Code  int `json:"code"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(raw, &refused); err != nil || status != http.StatusServiceUnavailable || refused.Code != 503 ||
		refused.Error.Message == "" || header.Get("Retry-After") == "" {
		t.Errorf("while the log is away: %d, Retry-After %q, %s", status, header.Get("Retry-After"), raw)
	}
	log = start()
	t.Cleanup(func() {
		p.stop()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, 30*time.Second, "accepted again", func() bool {
		status, _, _ := post("after")
		return status == http.StatusOK
	})
	eventually(t, 30*time.Second, "rows again", func() bool {
		_, _, raw := p.do(http.MethodGet, "/v1/conversations?channel="+ch.ID, p.Token, "")
		var list struct {
			Data []struct {
				Count int `json:"message_count"`
			} `json:"data"`
		}
		return json.Unmarshal(raw, &list) == nil && len(list.Data) == 1 && list.Data[0].Count >= 2
	})
}

// TestDatabaseAway: inbound events need only the log; reads say what is missing,
// and the rows are there when the database is.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	start := func() *postgres.Cluster {
		cluster, err := postgres.StartCluster(t.Context(), postgres.ClusterConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return cluster
	}
	cluster := start()
	p := startParley(t, func(s *settings) { s.DatabaseURL = cluster.URL() })
	ch := p.channel(`{"dialect":"ismessenger","name":"Away","id_type":"custom","callback_url":"http://127.0.0.1:9"}`)
	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	const posts = 20
	for i := range posts {
		id := fmt.Sprintf("m-%02d", i)
		if status, _, raw := p.do(http.MethodPost, "/custom/channel/webhook/", ch.APIToken, inboundBody(ch.ID, "client_1", id)); status != http.StatusOK {
			t.Fatalf("%s while the database is away: %d %s", id, status, raw)
		}
	}
	if status, header, raw := p.do(http.MethodGet, "/v1/conversations", p.Token, ""); status != http.StatusServiceUnavailable ||
		header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a read while the database is away: %d %s", status, raw)
	}
	if status, _, raw := p.do(http.MethodGet, "/readyz", "", ""); status != http.StatusServiceUnavailable {
		t.Errorf("readyz while the database is away: %d %s", status, raw)
	}
	cluster = start()
	t.Cleanup(func() {
		p.stop()
		if err := cluster.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	eventually(t, 30*time.Second, "rows of what came meanwhile", func() bool {
		_, _, raw := p.do(http.MethodGet, "/v1/conversations?channel="+ch.ID, p.Token, "")
		var list struct {
			Data []struct {
				Count int `json:"message_count"`
			} `json:"data"`
		}
		return json.Unmarshal(raw, &list) == nil && len(list.Data) == 1 && list.Data[0].Count == posts
	})
}

// TestBackPressure: when the log is slow, as many events wait as may; more are
// refused at once, and what waited too long is refused, both in the dialect's
// shape with a time to come back.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	log, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var stuck atomic.Bool
	release := make(chan struct{})
	set := settings{
		Addr: "127.0.0.1:0", AdminToken: testToken, CallbackTimeout: time.Second, Roles: []string{roleAPI}, TopicPrefix: "parley",
		DatabaseURL: pgtest.URL(t), KafkaBrokers: log.Brokers(), Partitions: 1, MaxWaiting: 2, RedriveRate: 1,
	}
	if err := set.fillSecrets(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	cfg, err := set.check()
	if err != nil {
		t.Fatal(err)
	}
	cfg.logger = slog.New(slog.DiscardHandler)
	cfg.sync = func(ctx context.Context, topic string, partition int, base int64) error {
		if stuck.Load() {
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return log.Sync(ctx, topic, partition, base)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := startNode(t.Context(), cfg, listener)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.stop(context.WithoutCancel(t.Context())), log.Close()); err != nil {
			t.Error(err)
		}
	})
	p := &parley{t: t, URL: "http://" + listener.Addr().String(), Token: testToken}
	ch := p.channel(`{"dialect":"respondio","name":"Slow","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	type answer struct {
		status int
		header http.Header
		raw    []byte
	}
	answers := make(chan answer, 8)
	post := func(id string) {
		status, header, raw := p.do(http.MethodPost, "/custom/channel/webhook/", ch.APIToken, inboundBody(ch.ID, "+15550100", id))
		answers <- answer{status, header, raw}
	}
	refused := func(what string) {
		t.Helper()
		select {
		case a := <-answers:
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.raw), `"code":503`) {
				t.Errorf("%s: %d, Retry-After %q, %s", what, a.status, a.header.Get("Retry-After"), a.raw)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: no answer", what)
		}
	}
	stuck.Store(true)
	go post("one")
	go post("two")
	waiting := func() float64 {
		_, _, raw := p.do(http.MethodGet, "/metrics", "", "")
		_, rest, _ := strings.Cut(string(raw), "\nparley_log_append_waiting_records ")
		value, _, _ := strings.Cut(rest, "\n")
		number, _ := strconv.ParseFloat(value, 64)
		return number
	}
	eventually(t, 10*time.Second, "two events waiting", func() bool { return waiting() == 2 })
	go post("three")
	refused("above the limit")
	refused("after 5 s")
	refused("after 5 s")
	stuck.Store(false)
	close(release)
	eventually(t, 10*time.Second, "accepted when the log is well again", func() bool {
		post("four")
		a := <-answers
		return a.status == http.StatusOK
	})
}
