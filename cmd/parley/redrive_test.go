package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

func roles(names ...string) option { return func(s *settings) { s.Roles = names } }

// graveyard is a log full of dead letters, as a receiver that was away for long
// leaves it behind, and the receiver, which is back.
type graveyard struct {
	*parley

	hooks *receiver
	to    string              // the callback of its channels
	want  map[string][]string // contact → texts that are to arrive, in order
	dead  int
}

// newGraveyard starts a Parley that delivers nothing yet, to be buried in.
func newGraveyard(t testing.TB, options ...option) *graveyard {
	t.Helper()
	g := &graveyard{hooks: newReceiver(t), want: map[string][]string{}}
	g.to = g.hooks.URL
	g.parley = startParley(t, append(options, roles(roleAPI))...)
	return g
}

// channel makes a channel with a policy.
func (g *graveyard) channel(policy string) domain.Channel {
	g.t.Helper()
	status, _, raw := g.do(http.MethodPost, "/v1/channels", g.Token, fmt.Sprintf(
		`{"dialect":"respondio","name":"Grave","id_type":"custom","callback_url":%q,"rate_per_second":0,"delivery":%s}`, g.to, policy))
	var made channelAnswer
	if err := json.Unmarshal(raw, &made); err != nil || status != http.StatusCreated {
		g.t.Fatalf("create channel: %d %s", status, raw)
	}
	ch, ok := g.dev.node.registry.Channel(made.ID)
	if !ok {
		g.t.Fatal("the channel is not known")
	}
	return ch
}

const (
	onceOnly = `{"schedule":[]}`                       // a failure lets the lane go on
	parking  = `{"schedule":[],"on_exhausted":"park"}` // a failure holds the lane up
)

// bury sends messages to contacts of a channel, of each conversation the first
// dead ones die for a reason at a time.
func (g *graveyard) bury(ch domain.Channel, name string, contacts, messages, dead int, reason domain.Reason, at time.Time) {
	g.t.Helper()
	var events []domain.Event
	for i := range messages {
		for c := range contacts {
			contact, text := fmt.Sprintf("%s-%04d", name, c), fmt.Sprintf("m%03d", i)
			e := ch.Send(contact, uuid.New(), domain.Content{Type: domain.ContentText, Text: text}, "", at)
			events = append(events, e)
			g.want[contact] = append(g.want[contact], text)
			if i >= dead {
				continue
			}
			d, _ := domain.DeliveryOf(domain.Recorded{Event: e}, nil, false)
			events = append(events, d.Attempted(domain.Outcome{Verdict: domain.Retry, Reason: reason}, ch.Delivery, 0, false, at, at))
			g.dead++
		}
	}
	for part := range slices.Chunk(events, 1000) {
		if _, err := g.dev.node.store.Append(context.Background(), part...); err != nil {
			g.t.Fatal(err)
		}
	}
}

// open starts the Parley again, so that it delivers, and waits until it knows of
// its dead letters.
func (g *graveyard) open() {
	g.t.Helper()
	g.stop()
	g.set.Roles = allRoles
	g.start()
	eventually(g.t, 30*time.Second, "the dead letters are known", func() bool { return g.count("") == g.dead })
}

// redrives posts to /v1/redrives.
func (g *graveyard) redrives(body string, v any) int {
	g.t.Helper()
	status, err := call(g.URL, g.Token, http.MethodPost, "/v1/redrives", body, v)
	if err != nil {
		g.t.Fatal(err)
	}
	return status
}

// count is a dry run with a filter.
func (g *graveyard) count(filter string) int {
	g.t.Helper()
	var counted struct {
		Count int `json:"count"`
	}
	if status := g.redrives(`{"dry_run":true`+filter+`}`, &counted); status != http.StatusOK {
		g.t.Fatalf("dry run %s: %d", filter, status)
	}
	return counted.Count
}

// job makes a job.
func (g *graveyard) job(body string) redriveJob {
	g.t.Helper()
	var job redriveJob
	if status := g.redrives(body, &job); status != http.StatusAccepted {
		g.t.Fatalf("redrive %s: %d", body, status)
	}
	return job
}

// awaits waits until a job says what is asked for.
func (g *graveyard) awaits(id, what string, says func(redriveJob) bool) (job redriveJob) {
	g.t.Helper()
	eventually(g.t, 30*time.Second, what, func() bool {
		if status, err := call(g.URL, g.Token, http.MethodGet, "/v1/redrives/"+id, "", &job); err != nil || status != http.StatusOK {
			g.t.Fatalf("read the job: %d %v", status, err)
		}
		return says(job)
	})
	return job
}

func ended(job redriveJob) bool { return job.State != "running" }

// arrived checks that everything arrives, in order, and once.
func (g *graveyard) arrived() {
	g.t.Helper()
	all := 0
	for _, texts := range g.want {
		all += len(texts)
	}
	eventually(g.t, 30*time.Second, "everything arrives", func() bool { return g.hooks.count() >= all })
	g.hooks.mu.Lock()
	defer g.hooks.mu.Unlock()
	for contact, texts := range g.want {
		if got := g.hooks.calls[contact]; !slices.Equal(got, texts) {
			g.t.Errorf("%s got %v, want %v", contact, got, texts)
		}
	}
	if g.hooks.total != all {
		g.t.Errorf("%d calls for %d messages", g.hooks.total, all)
	}
}

// TestRedriveJob: 5,000 dead letters of 630 conversations, parked and not, are
// redriven by one job: each arrives once, in the order of its conversation, and
// what was parked behind it follows.
func TestRedriveJob(t *testing.T) {
	t.Parallel()
	g := newGraveyard(t, redriveRate(5000))
	now := time.Now()
	g.bury(g.channel(onceOnly), "goes", 115, 20, 20, domain.ReasonTimeout, now)
	g.bury(g.channel(onceOnly), "elsewhere", 115, 20, 20, domain.ReasonTimeout, now)
	g.bury(g.channel(parking), "parked", 400, 3, 1, domain.ReasonServerError, now)
	g.open()
	if g.dead != 5000 || g.hooks.count() != 0 {
		t.Fatalf("%d dead letters, %d calls before the redrive", g.dead, g.hooks.count())
	}
	status, _, raw := g.do(http.MethodPost, "/v1/redrives", g.Token, `{}`)
	if status != http.StatusConflict || !strings.Contains(string(raw), "5000") {
		t.Errorf("without confirm: %d %s", status, raw)
	}
	if status := g.redrives(`{"confirm":4999}`, nil); status != http.StatusConflict {
		t.Errorf("with another number: %d", status)
	}
	began := time.Now()
	job := g.awaits(g.job(`{"confirm":5000}`).ID, "the job ends", ended)
	took := time.Since(began)
	if job.State != "done" || job.Total != 5000 || job.Redriven != 5000 || job.Skipped != 0 || job.Error != "" {
		t.Errorf("the job came to %+v", job)
	}
	g.arrived()
	t.Logf("redriven in %s, arrived in %s", took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if n := g.count(""); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
	text := (&process{t: t, URL: g.URL}).metrics()
	for _, line := range []string{"parley_redrive_redriven_total 5000", "parley_redrive_running 0"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
}

// TestRedriveJob_filters: a job redrives what its filter names and nothing else,
// leaves alone what somebody else decided, and is nobody else's business.
func TestRedriveJob_filters(t *testing.T) {
	t.Parallel()
	g := newGraveyard(t, redriveRate(20))
	now := domain.Stamp(time.Now())
	old := now.Add(-48 * time.Hour)
	a, b := g.channel(onceOnly), g.channel(onceOnly)
	g.bury(a, "a-old", 5, 2, 2, domain.ReasonTimeout, old)
	g.bury(a, "a-new", 6, 2, 2, domain.ReasonServerError, now)
	g.bury(b, "b-new", 7, 2, 2, domain.ReasonTimeout, now)
	g.open()
	stamp := func(at time.Time) string { return at.Format(time.RFC3339Nano) }
	for filter, want := range map[string]int{
		`,"channel":"` + a.ID + `"`: 22, `,"reason":"timeout"`: 24, `,"kind":"message"`: 36, `,"kind":"close"`: 0,
		`,"channel":"` + a.ID + `","reason":"timeout"`: 10, `,"from":"` + stamp(now) + `"`: 26, `,"to":"` + stamp(now) + `"`: 10,
		`,"from":"` + stamp(old) + `","to":"` + stamp(old.Add(time.Second)) + `"`: 10, `,"channel":"none"`: 0,
	} {
		if n := g.count(filter); n != want {
			t.Errorf("%s: %d, want %d", filter, n, want)
		}
	}
	if job := g.job(`{"kind":"close"}`); job.State != "done" || job.Total != 0 {
		t.Errorf("a job of nothing is %+v", job)
	}

	job := g.job(`{"channel":"` + b.ID + `"}`)
	// At 20 a second the job has not come to the newest one yet.
	newest := g.newest(b)
	if status, err := call(g.URL, g.Token, http.MethodPost, "/v1/deliveries/"+newest+"/drop", "", nil); err != nil || status != http.StatusAccepted {
		t.Fatalf("drop: %d %v", status, err)
	}
	if job = g.awaits(job.ID, "the job ends", ended); job.State != "done" || job.Total != 14 || job.Redriven != 13 || job.Skipped != 1 {
		t.Errorf("the job came to %+v", job)
	}
	eventually(t, 10*time.Second, "what was redriven arrives", func() bool { return g.hooks.count() == 13 })
	if n := g.count(""); n != 22 {
		t.Errorf("%d dead letters are left, want 22", n)
	}

	var other struct {
		Token struct {
			Secret string `json:"token"`
		} `json:"token"`
	}
	if status, err := call(g.URL, g.Token, http.MethodPost, "/v1/accounts", `{"name":"other"}`, &other); err != nil || status != http.StatusCreated || other.Token.Secret == "" {
		t.Fatalf("account: %d %v %+v", status, err, other)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{http.MethodPost, "", `{"dry_run":true}`, 200, `{"count":0}`},
		{http.MethodPost, "", `{"channel":"` + a.ID + `"}`, 202, `"total":0`},
		{http.MethodGet, "/" + job.ID, "", 404, ""},
		{http.MethodPost, "/" + job.ID + "/cancel", "", 404, ""},
		{http.MethodGet, "", "", 200, `"total":0`},
	} {
		status, _, raw := g.do(c.method, "/v1/redrives"+c.path, other.Token.Secret, c.body)
		if status != c.status || !strings.Contains(string(raw), c.says) || strings.Contains(string(raw), job.ID) {
			t.Errorf("%s %s of another account: %d %s", c.method, c.path, status, raw)
		}
	}
}

// newest gives the dead letter of a channel that comes last in the order of the
// log, of those that a redrive comes to.
func (g *graveyard) newest(ch domain.Channel) string {
	g.t.Helper()
	var id uuid.UUID
	err := g.dev.node.pool.QueryRow(g.t.Context(), `
		select id from deliveries where channel_id = $1 order by "offset" desc, partition desc limit 1`, ch.ID).Scan(&id)
	if err != nil {
		g.t.Fatal(err)
	}
	return id.String()
}

// TestRedriveJob_cancelled: a job that is cancelled in the middle ends within a
// page; what it has redriven is sent, the rest stays dead, and a job after it
// redrives the rest.
func TestRedriveJob_cancelled(t *testing.T) {
	t.Parallel()
	g := newGraveyard(t, redriveRate(300))
	g.bury(g.channel(onceOnly), "goes", 50, 10, 10, domain.ReasonTimeout, time.Now())
	g.open()
	id := g.job(`{}`).ID
	g.awaits(id, "the job has begun", func(j redriveJob) bool { return j.Redriven > 0 })
	var at redriveJob
	if status, err := call(g.URL, g.Token, http.MethodPost, "/v1/redrives/"+id+"/cancel", "", &at); err != nil || status != http.StatusOK || at.State != "cancelled" {
		t.Fatalf("cancel: %d %v %+v", status, err, at)
	}
	var job redriveJob
	// The page in hand is counted when it is appended.
	eventually(t, 10*time.Second, "what it has redriven arrives", func() bool {
		job = g.awaits(id, "read", ended)
		return g.hooks.count() == int(job.Redriven) && g.count("") == g.dead-int(job.Redriven)
	})
	if job.State != "cancelled" || job.Redriven >= 500 || job.Redriven-at.Redriven > 60 {
		t.Errorf("cancelled at %+v, ended as %+v", at, job)
	}
	t.Logf("cancelled with %d redriven, ended with %d", at.Redriven, job.Redriven)
	if rest := g.awaits(g.job(`{}`).ID, "the rest", ended); rest.Total != 500-job.Redriven || rest.Redriven != rest.Total {
		t.Errorf("the rest came to %+v", rest)
	}
	g.arrived()
}

// TestRedriveJob_killed: kill -9 in the middle of a job: the next process goes on
// from where it was; the job's numbers are right, nothing is redriven twice, and
// only calls in flight are made again.
func TestRedriveJob_killed(t *testing.T) {
	t.Parallel()
	g := newGraveyard(t)
	g.bury(g.channel(onceOnly), "goes", 60, 12, 12, domain.ReasonTimeout, time.Now())
	g.bury(g.channel(parking), "parked", 180, 3, 1, domain.ReasonTimeout, time.Now())
	g.stop()
	start := func() *process {
		return startProgram(t, "Ctrl-C stops it.", []string{
			"PARLEY_TOPIC_PREFIX=" + g.set.TopicPrefix, "PARLEY_KAFKA_BROKERS=" + strings.Join(g.set.KafkaBrokers, ","),
			"PARLEY_PARTITIONS=4", "PARLEY_DATABASE_URL=" + g.set.DatabaseURL, "PARLEY_ADMIN_TOKEN=" + testToken, "PARLEY_REDRIVE_RATE=400",
		}, "dev", "--data", g.dir, "--addr", "127.0.0.1:0")
	}
	p := start()
	g.URL = p.URL
	eventually(t, 30*time.Second, "the dead letters are known", func() bool { return g.count("") == g.dead })
	id := g.job(`{}`).ID
	at := g.awaits(id, "the middle", func(j redriveJob) bool { return j.Redriven >= 300 })
	p.kill()
	calls := g.hooks.count()
	p = start()
	g.URL = p.URL
	job := g.awaits(id, "the job ends", ended)
	if job.State != "done" || job.Total != 900 || job.Redriven != 900 || job.Skipped != 0 {
		t.Errorf("the job came to %+v", job)
	}
	t.Logf("killed with %d redriven and %d calls", at.Redriven, calls)
	eventually(t, 30*time.Second, "everything arrives", func() bool {
		for contact, texts := range g.want {
			if len(g.hooks.got(contact)) < len(texts) {
				return false
			}
		}
		return true
	})
	repeated := 0
	for contact, texts := range g.want {
		if got := g.hooks.got(contact); !slices.Equal(got, texts) {
			t.Errorf("%s got %v, want %v", contact, got, texts)
		}
	}
	g.hooks.mu.Lock()
	for _, n := range g.hooks.keys {
		repeated += n - 1
	}
	g.hooks.mu.Unlock()
	// Made again is what was in flight: at most 16 calls of each of two channels, and
	// outcomes on their way into the log, which on three busy brokers is half a second's.
	if repeated > 256 {
		t.Errorf("%d calls were made again", repeated)
	}
	t.Logf("%d calls were made again", repeated)
	if n := g.redriven(p); n != 900 {
		t.Errorf("%d deliveries were redriven", n)
	}
	p.stop()
}

// TestRedrivesCommand: the commands count, ask back, watch and list.
func TestRedrivesCommand(t *testing.T) {
	t.Parallel()
	g := newGraveyard(t, redriveRate(5000))
	ch := g.channel(onceOnly)
	g.bury(ch, "goes", 102, 10, 10, domain.ReasonTimeout, time.Now())
	g.open()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"create", "--dry-run"}, 0, "1020 dead letters match\n"},
		{[]string{"create", "--dry-run", "--channel", "none", "--reason", "timeout", "--kind", "message", "--from", "2026-01-02T03:04:05Z"}, 0, "0 dead letters match\n"},
		{[]string{"create"}, 1, "1020 dead letters match: give --yes"},
		{[]string{"create", "--reason", "boredom"}, 1, "reason"},
		{[]string{"create", "--from", "yesterday"}, 2, "yesterday"},
		{[]string{"create", "--yes", "--channel", ch.ID}, 0, "done: 1020 redriven, 0 skipped of 1020\n"},
		{[]string{"create"}, 0, "done: 0 redriven, 0 skipped of 0\n"},
		{[]string{"list"}, 0, "1020"},
		{[]string{"show", "nothing"}, 1, "redrive"},
	} {
		code, out, errOut := cli(t, append(append([]string{"redrives"}, c.args...), "--url", g.URL, "--token", g.Token)...)
		if code != c.code || !strings.Contains(out+errOut, c.says) {
			t.Errorf("parley redrives %s: exit code %d, want %d with %q:\n%s%s", strings.Join(c.args, " "), code, c.code, c.says, out, errOut)
		}
	}
	job := g.job(`{}`)
	if out := g.must("redrives", "watch", job.ID); out != "done: 0 redriven, 0 skipped of 0\n" {
		t.Errorf("watch: %s", out)
	}
	if out := g.must("redrives", "show", job.ID); !strings.Contains(out, `"state": "done"`) {
		t.Errorf("show: %s", out)
	}
	g.arrived()
}
