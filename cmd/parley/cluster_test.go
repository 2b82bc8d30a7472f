package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/postgres/pgtest"
)

// cluster is several Parleys, each a process, on one log and one database: the
// Kafka that PARLEY_TEST_KAFKA names, or an embedded log.
type cluster struct {
	t        testing.TB
	env      []string
	database string
	nodes    []*process
}

// clusterBrokers finds the log of a cluster.
func clusterBrokers(t testing.TB) string {
	t.Helper()
	if brokers := os.Getenv("PARLEY_TEST_KAFKA"); brokers != "" {
		return brokers
	}
	log, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.Join(log.Brokers(), ",")
}

// newCluster prepares a cluster without nodes, on topics of its own.
func newCluster(t testing.TB, brokers string) *cluster {
	t.Helper()
	prefix := "t" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatInt(testPrefix.Add(1), 10)
	c := &cluster{t: t, database: pgtest.URL(t)}
	c.env = []string{
		"PARLEY_KAFKA_BROKERS=" + brokers, "PARLEY_TOPIC_PREFIX=" + prefix, "PARLEY_PARTITIONS=6",
		"PARLEY_DATABASE_URL=" + c.database, "PARLEY_ADMIN_TOKEN=" + testToken,
		"PARLEY_SECRET_KEY=" + strings.Repeat("A", 43) + "=", "PARLEY_CALLBACK_ALLOW=127.0.0.0/8", "PARLEY_ADDR=127.0.0.1:0",
	}
	if os.Getenv("PARLEY_TEST_LOG") == "" {
		c.env = append(c.env, "PARLEY_LOG_LEVEL=warn")
	}
	return c
}

// start adds a node.
func (c *cluster) start(env ...string) *process {
	c.t.Helper()
	p := startProgram(c.t, "parley serves at ", append(slices.Clone(c.env), env...), "serve")
	c.add(p)
	return p
}

// add shows what the nodes printed when the test has failed.
func (c *cluster) add(nodes ...*process) {
	for _, n := range nodes {
		number := len(c.nodes)
		c.nodes = append(c.nodes, n)
		c.t.Cleanup(func() {
			if c.t.Failed() || os.Getenv("PARLEY_TEST_LOG") != "" {
				c.t.Logf("node %d at %s printed:\n%s", number, n.URL, n.printed())
			}
		})
	}
}

// two starts two nodes at the same moment, on a log and a database that have
// nothing yet.
func (c *cluster) two(env ...string) (a, b *process) {
	c.t.Helper()
	var both sync.WaitGroup
	both.Go(func() { a = startProgram(c.t, "parley serves at ", append(slices.Clone(c.env), env...), "serve") })
	both.Go(func() { b = startProgram(c.t, "parley serves at ", append(slices.Clone(c.env), env...), "serve") })
	both.Wait()
	if a == nil || b == nil {
		c.t.FailNow()
	}
	c.add(a, b)
	return a, b
}

// shared waits until each of two nodes has its half of the partitions, and sends
// what it projects.
func (c *cluster) shared() {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, 30*time.Second, "half of the partitions each", func() bool {
			text := n.metrics()
			for _, reader := range []string{"conversations", "deliveries"} {
				if !regexp.MustCompile(`(?m)^parley_log_partitions\{[^}]*reader="` + reader + `"[^}]*\} 3$`).MatchString(text) {
					return false
				}
			}
			return true
		})
	}
}

// metrics reads what a node tells Prometheus.
func (p *process) metrics() string {
	p.t.Helper()
	resp, err := http.Get(p.URL + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// channel makes a channel and waits until every node knows it.
// Its failed callbacks are repeated after wait, which is 1s if none is given.
func (c *cluster) channel(url string, wait ...string) channelAnswer {
	c.t.Helper()
	schedule := strings.Repeat(fmt.Sprintf("%q,", append(wait, "1s")[0]), 30)
	var ch channelAnswer
	if status := c.nodes[0].api(http.MethodPost, "/v1/channels", fmt.Sprintf(
		`{"dialect":"respondio","name":"Cluster","id_type":"custom","callback_url":%q,"rate_per_second":0,"delivery":{"schedule":[%s]}}`, url, strings.TrimSuffix(schedule, ",")), &ch); status != http.StatusCreated {
		c.t.Fatalf("create channel: %d", status)
	}
	for _, n := range c.nodes {
		eventually(c.t, knownWithin, "the channel on every node", func() bool {
			return n.api(http.MethodGet, "/v1/channels/"+ch.ID, "", nil) == http.StatusOK
		})
	}
	return ch
}

// knownWithin is how soon a change of a channel or a token is in force on every
// node that reaches the log. It takes some milliseconds; the rest is for busy
// machines that run tests.
const knownWithin = 5 * time.Second

// stop ends all nodes that run, as an orchestrator does.
func (c *cluster) stop() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.cmd.ProcessState == nil {
			n.stop()
		}
	}
}

// TestTwoNodes: two nodes that start together on nothing share the work: each
// takes posts, everything is there once and in order, and nobody is told twice.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two()
	hooks := newListener(t, 0)
	l := c.load(c.channel(hooks.URL), 16, 60)
	l.run(t, a, b)
	l.check(t, a, hooks)
	l.check(t, b, hooks)
	if again := hooks.repeated(); len(again) > 0 {
		t.Errorf("%d calls were repeated although nothing failed: %v", len(again), again)
	}
	c.stop()
}

// TestChangesReachEveryNode: a channel that one node has made works on the other,
// a rotated token is refused on both, and a deleted channel is gone from both.
func TestChangesReachEveryNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two()
	hooks := newListener(t, 0)
	post := func(n *process, ch channelAnswer, id string) int {
		status, err := call(n.URL, ch.APIToken, http.MethodPost, "/custom/channel/webhook/", inboundBody(ch.ID, "contact", id), nil)
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	var slowest time.Duration
	within := func(what string, done func() bool) {
		t.Helper()
		began := time.Now()
		eventually(t, knownWithin, what, done)
		slowest = max(slowest, time.Since(began))
	}
	var ch channelAnswer
	if status := a.api(http.MethodPost, "/v1/channels", fmt.Sprintf(`{"dialect":"respondio","name":"Known","id_type":"custom","callback_url":%q}`, hooks.URL), &ch); status != http.StatusCreated {
		t.Fatalf("create channel: %d", status)
	}
	within("a new channel on the other node", func() bool { return post(b, ch, "m-1") == http.StatusOK })

	var rotated channelAnswer
	if status := b.api(http.MethodPost, "/v1/channels/"+ch.ID+"/rotate", "", &rotated); status != http.StatusOK || rotated.APIToken == ch.APIToken {
		t.Fatalf("rotate: %d", status)
	}
	if status := post(b, ch, "m-2"); status != http.StatusUnauthorized {
		t.Errorf("the node that rotated the token answers the old one %d", status)
	}
	within("the old token refused on the other node", func() bool { return post(a, ch, "m-3") == http.StatusUnauthorized })
	for _, n := range c.nodes {
		if status := post(n, rotated, "m-4"); status != http.StatusOK {
			t.Errorf("the new token is answered %d", status)
		}
	}
	if status := a.api(http.MethodDelete, "/v1/channels/"+ch.ID, "", nil); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	within("the deleted channel gone from the other node", func() bool { return post(b, rotated, "m-5") >= 400 })
	t.Logf("a change was known on the other node after at most %s", slowest)
	c.stop()
}

// TestReadYourWritesAcrossNodes: a read that names the position of a write sees
// it, whichever node is asked and whichever projects it.
func TestReadYourWritesAcrossNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two()
	hooks := newListener(t, 0)
	ch := c.channel(hooks.URL)
	for i := range 7 {
		status, err := call(a.URL, ch.APIToken, http.MethodPost, "/custom/channel/webhook/", inboundBody(ch.ID, fmt.Sprintf("reader_%d", i), "first"), nil)
		if err != nil || status != http.StatusOK {
			t.Fatalf("webhook: %d %v", status, err)
		}
	}
	for i := range 30 {
		writer, reader := a, b
		if i%2 == 1 {
			writer, reader = b, a
		}
		contact, text := fmt.Sprintf("reader_%d", i%7), fmt.Sprintf("said-%02d", i)
		position := writer.write(ch, contact, text)
		if texts := reader.readAt(ch, contact, position); !slices.Contains(texts, text) {
			t.Errorf("%s at %s is not among %v", text, position, texts)
		}
	}
	c.stop()
}

// write sends a reply and gives its position.
func (p *process) write(ch channelAnswer, contact, text string) (position string) {
	p.t.Helper()
	header := p.fetch(http.MethodPost, "/v1/channels/"+ch.ID+"/messages", "", fmt.Sprintf(`{"contact_ref":%q,"type":"text","text":%q}`, contact, text), http.StatusAccepted, nil)
	return header.Get("Parley-Position")
}

// readAt lists the texts of a contact as of a position.
func (p *process) readAt(ch channelAnswer, contact, position string) []string {
	p.t.Helper()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	p.fetch(http.MethodGet, "/v1/conversations?channel="+ch.ID+"&contact="+contact, position, "", http.StatusOK, &list)
	if len(list.Data) != 1 {
		return nil
	}
	var page struct {
		Data []messageAnswer `json:"data"`
	}
	p.fetch(http.MethodGet, "/v1/conversations/"+list.Data[0].ID+"/messages", position, "", http.StatusOK, &page)
	texts := make([]string, 0, len(page.Data))
	for _, m := range page.Data {
		texts = append(texts, m.Text)
	}
	return texts
}

// fetch makes a call as of a position and insists on its status.
func (p *process) fetch(method, path, position, body string, want int, v any) http.Header {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	req.Header.Set("Content-Type", "application/json")
	if position != "" {
		req.Header.Set("Parley-Position", position)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != want {
		p.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	if v != nil {
		if err := json.Unmarshal(raw, v); err != nil {
			p.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return resp.Header
}

// TestRolesApart: one node has the doors only, another does the work behind them.
// The first reads what the second projects, and the second's doors are closed.
func TestRolesApart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	door := c.start("PARLEY_ROLES=api")
	worker := c.start("PARLEY_ROLES=projector,delivery")
	c.nodes = []*process{door}
	hooks := newListener(t, 0)
	l := c.load(c.channel(hooks.URL), 8, 30)
	l.run(t, door)
	l.check(t, door, hooks)
	position := door.write(l.channel, "client_00", "zzz")
	if texts := door.readAt(l.channel, "client_00", position); !slices.Contains(texts, "zzz") {
		t.Errorf("a read at %s does not see what was written", position)
	}
	if status, err := call(worker.URL, testToken, http.MethodGet, "/v1/channels", "", nil); err != nil || status != http.StatusNotFound {
		t.Errorf("the node without doors answers /v1: %d %v", status, err)
	}
	for _, n := range []*process{door, worker} {
		if status, err := call(n.URL, "", http.MethodGet, "/readyz", "", nil); err != nil || status != http.StatusOK {
			t.Errorf("/readyz: %d %v", status, err)
		}
	}
	c.stop()
	worker.stop()
}
