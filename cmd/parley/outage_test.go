package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
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
