package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// in lets a Parley of the test's own process begin what the nodes of a cluster go
// on with: the same topics, the same database, the same key.
func (c *cluster) in() option {
	env := map[string]string{}
	for _, line := range c.env {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	return func(s *settings) {
		s.KafkaBrokers, s.TopicPrefix = strings.Split(env["PARLEY_KAFKA_BROKERS"], ","), env["PARLEY_TOPIC_PREFIX"]
		s.DatabaseURL, s.Partitions, s.SecretKey = c.database, 6, env["PARLEY_SECRET_KEY"]
	}
}

// TestRedriveJob_takenOver: of two nodes the one that works on a job over 3,000 dead
// letters is killed in the middle. The other one ends the job: its numbers are right,
// each dead letter is redriven by one event and told in the order of its conversation,
// and told again is only what was in flight at the kill.
func TestRedriveJob_takenOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	hooks := newListener(t, 2*time.Millisecond)
	g := newGraveyard(t, c.in())
	g.to = hooks.URL
	g.bury(g.channel(onceOnly), "goes", 120, 10, 10, domain.ReasonTimeout, time.Now())
	g.bury(g.channel(onceOnly), "elsewhere", 150, 10, 10, domain.ReasonServerError, time.Now())
	g.bury(g.channel(parking), "parked", 300, 3, 1, domain.ReasonTimeout, time.Now())
	g.stop()

	a, _ := c.two("PARLEY_REDRIVE_RATE=400")
	c.shared()
	g.URL = a.URL
	eventually(t, 30*time.Second, "the dead letters are known", func() bool { return g.count("") == g.dead })
	id := g.job(fmt.Sprintf(`{"confirm":%d}`, g.dead)).ID
	g.awaits(id, "the middle", func(j redriveJob) bool { return j.Redriven >= 800 })
	var runs, rests *process
	eventually(t, 10*time.Second, "a node works on it", func() bool {
		for i, n := range c.nodes {
			if strings.Contains(n.metrics(), "parley_redrive_running 1\n") {
				runs, rests = n, c.nodes[1-i]
				return true
			}
		}
		return false
	})
	runs.kill()
	killed := time.Now()
	g.URL = rests.URL
	at := g.awaits(id, "read", func(redriveJob) bool { return true })
	if at.Redriven >= at.Total || at.State != "running" {
		t.Fatalf("the job was over before the kill: %+v", at)
	}
	var job redriveJob
	eventually(t, 90*time.Second, "the other node ends the job", func() bool {
		job = g.awaits(id, "read", func(redriveJob) bool { return true })
		return ended(job)
	})
	if job.State != "done" || job.Total != 3000 || job.Redriven != 3000 || job.Skipped != 0 || job.Error != "" {
		t.Errorf("the job came to %+v", job)
	}
	t.Logf("killed with %d redriven, over after %s", at.Redriven, time.Since(killed).Round(100*time.Millisecond))

	var told map[string][]string
	eventually(t, 60*time.Second, "everything arrives", func() bool {
		told = hooks.told()
		for contact, texts := range g.want {
			if len(told[contact]) < len(texts) {
				return false
			}
		}
		return true
	})
	for contact, texts := range g.want {
		if !slices.Equal(told[contact], texts) {
			t.Errorf("%s was told %v, want %v", contact, told[contact], texts)
		}
	}
	hooks.inOrder(t)
	hooks.onlyInFlight(t, killed)
	if n := g.redriven(rests); n != 3000 {
		t.Errorf("%d dead letters were redriven", n)
	}
	if n := g.count(""); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
	rests.stop()
}

// told lists what each contact was told, without repeats, in order.
func (l *listener) told() map[string][]string {
	told, known := map[string][]string{}, map[string]bool{}
	for _, call := range l.seen() {
		if call.ended.IsZero() || call.refused || known[call.key] {
			continue
		}
		known[call.key] = true
		told[call.contact] = append(told[call.contact], call.text)
	}
	return told
}

// redriven counts the deliveries that the log says are redriven, and checks that
// none is by two events.
func (g *graveyard) redriven(n *process) int {
	g.t.Helper()
	by := map[string]string{} // delivery → event
	g.URL = n.URL
	_, _, raw := g.do(http.MethodGet, "/v1/events?type=delivery.redriven", g.Token, "")
	for line := range strings.Lines(string(raw)) {
		var e struct {
			ID   string `json:"id"`
			Data struct {
				DeliveryID string `json:"delivery_id"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.t.Fatal(err)
		}
		if before, again := by[e.Data.DeliveryID]; again && before != e.ID {
			g.t.Errorf("delivery %s was redriven by two events", e.Data.DeliveryID)
		}
		by[e.Data.DeliveryID] = e.ID
	}
	return len(by)
}
