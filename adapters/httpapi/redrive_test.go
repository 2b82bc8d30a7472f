package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// redriveWorld keeps jobs over the deliveries of a world.
type redriveWorld struct {
	world *world
	mu    sync.Mutex
	jobs  []domain.Redrive
	more  int64 // dead letters that nobody made
}

func (r *redriveWorld) CountDead(_ context.Context, f domain.RedriveFilter, asOf time.Time) (n int64, err error) {
	w := r.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.deliveries {
		if d.State == domain.StateDead && d.Account == f.Account && !d.SettledAt.After(asOf) && (f.Channel == "" || f.Channel == d.Channel) &&
			(f.Reason == "" || f.Reason == d.LastReason) && (f.Kind == "" || f.Kind == d.Kind) &&
			!d.CreatedAt.Before(f.From) && (f.To.IsZero() || d.CreatedAt.Before(f.To)) {
			n++
		}
	}
	if f.Channel == "crowded" {
		n += r.more
	}
	return n, w.readErr
}

func (r *redriveWorld) CreateRedrive(ctx context.Context, job domain.Redrive, confirm *int64) (domain.Redrive, error) {
	if made, err := r.Redrive(ctx, job.Filter.Account, job.ID); err == nil {
		return made, nil
	}
	n, err := r.CountDead(ctx, job.Filter, job.CreatedAt)
	if err == nil {
		err = job.Filter.Confirmed(n, confirm)
	}
	job.State, job.Total, job.UpdatedAt = domain.RedriveRunning, n, job.CreatedAt
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.jobs = append(r.jobs, job)
	}
	return job, err
}

func (r *redriveWorld) Redrives(_ context.Context, account string, p domain.Page) ([]domain.Redrive, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(r.jobs), func(j domain.Redrive) bool { return j.Filter.Account != account })
	slices.SortFunc(list, func(a, b domain.Redrive) int { return -cmp.Compare(a.CreatedAt.UnixNano(), b.CreatedAt.UnixNano()) })
	if p.After != "" {
		for len(list) > 0 && list[0].ID.String() != p.After {
			list = list[1:]
		}
		if len(list) == 0 {
			return nil, "", domain.Invalid("cursor", "is not one that this list gave")
		}
		list = list[1:]
	}
	if len(list) > p.Limit {
		return list[:p.Limit], list[p.Limit-1].ID.String(), nil
	}
	return list, "", nil
}

func (r *redriveWorld) Redrive(_ context.Context, account string, id uuid.UUID) (domain.Redrive, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range r.jobs {
		if j.ID == id && j.Filter.Account == account {
			return j, nil
		}
	}
	return domain.Redrive{}, domain.Errorf(domain.CodeNotFound, "there is no such redrive")
}

func (r *redriveWorld) CancelRedrive(ctx context.Context, account string, id uuid.UUID, now time.Time) (domain.Redrive, error) {
	job, err := r.Redrive(ctx, account, id)
	if err != nil || job.State == domain.RedriveCancelled {
		return job, err
	}
	if job.State != domain.RedriveRunning {
		return job, domain.Errorf(domain.CodeConflict, "The redrive is %s already.", job.State)
	}
	job.State, job.FinishedAt = domain.RedriveCancelled, &now
	r.set(job)
	return job, nil
}

func (r *redriveWorld) set(job domain.Redrive) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.jobs {
		if r.jobs[i].ID == job.ID {
			r.jobs[i] = job
		}
	}
}

// dead makes n dead letters of a channel.
func (w *world) dead(channel string, n int) {
	w.t.Helper()
	for i := range n {
		ref := fmt.Sprintf("+1555010%d", i)
		w.receive(channel, ref, "in", "hello")
		m := w.call(agentToken, "POST", "/v1/channels/"+channel+"/messages", `{"contact_ref":"`+ref+`","type":"text","text":"a"}`).want(202)
		w.fail(m.field("id"))
	}
}

// Ensure a redrive is counted, made once under its key, read, listed and
// cancelled, by those who may, in their own account.
func TestRedrives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.makeChannel(adminToken, "phone")
	w.dead(channel, 3)
	post := func(body string, headers ...string) answer {
		return w.call(adminToken, "POST", "/v1/redrives", body, headers...)
	}

	dry := post(`{"dry_run":true}`).want(200)
	if string(dry.body) != `{"count":3}`+"\n" || dry.header.Get("Location") != "" {
		t.Errorf("dry run: %s, Location %q", dry.body, dry.header.Get("Location"))
	}
	if n := w.call(adminToken, "GET", "/v1/redrives", "").want(200).field("data"); n != "[]" {
		t.Errorf("a dry run made %s", n)
	}
	made := post(`{"channel":"`+channel+`","from":"2026-03-01T12:00:00+01:00","to":"2026-03-02T00:00:00Z","reason":"rejected","kind":"message"}`, keyHeader, "k1").want(202)
	id := made.field("id")
	for _, c := range []struct {
		want string
		path []any
	}{
		{"running", []any{"state"}}, {"3", []any{"total"}}, {"0", []any{"redriven"}}, {"0", []any{"skipped"}}, {"", []any{"error"}},
		{"admin of default", []any{"by"}}, {channel, []any{"filter", "channel"}}, {"2026-03-01T11:00:00Z", []any{"filter", "from"}},
		{"rejected", []any{"filter", "reason"}}, {"message", []any{"filter", "kind"}}, {"<none>", []any{"finished_at"}},
	} {
		if got := made.field(c.path...); got != c.want {
			t.Errorf("%v is %q, want %q", c.path, got, c.want)
		}
	}
	if l := made.header.Get("Location"); l != "/v1/redrives/"+id {
		t.Errorf("Location is %q", l)
	}
	again := post(`{"channel":"`+channel+`","from":"2026-03-01T12:00:00+01:00","to":"2026-03-02T00:00:00Z","reason":"rejected","kind":"message"}`, keyHeader, "k1").want(202)
	if again.field("id") != id || again.header.Get(replayedHeader) != "true" || again.header.Get("Location") != made.header.Get("Location") {
		t.Errorf("under the same key: %s", again.body)
	}
	post(`{}`, keyHeader, "k1").want(422)
	if n := post(`{"dry_run":true,"reason":"timeout"}`).want(200).field("count"); n != "0" {
		t.Errorf("%s timed out", n)
	}
	if n := post("").want(202).field("total"); n != "3" {
		t.Errorf("without a body: %s", n)
	}

	list := w.call(readerToken, "GET", "/v1/redrives?limit=1", "").want(200)
	rest := w.call(readerToken, "GET", "/v1/redrives?limit=1&cursor="+list.field("next_cursor"), "").want(200)
	if rest.field("data", 0, "id") != id || rest.field("next_cursor") != "<none>" {
		t.Errorf("list: %s, then %s", list.body, rest.body)
	}
	if got := w.call(readerToken, "GET", "/v1/redrives/"+id, "").want(200); got.field("id") != id {
		t.Errorf("read: %s", got.body)
	}
	for _, c := range []struct {
		token, method, path string
		status              int
	}{
		{readerToken, "POST", "/v1/redrives", 403},
		{agentToken, "POST", "/v1/redrives/" + id + "/cancel", 403},
		{otherToken, "POST", "/v1/redrives/" + id + "/cancel", 404},
		{otherToken, "GET", "/v1/redrives/" + id, 404},
		{adminToken, "GET", "/v1/redrives/nonsense", 404},
		{adminToken, "POST", "/v1/redrives/" + uuid.NewString() + "/cancel", 404},
		{adminToken, "GET", "/v1/redrives?cursor=x", 400},
	} {
		w.call(c.token, c.method, c.path, "").want(c.status)
	}
	if a := w.call(otherToken, "POST", "/v1/redrives", `{"dry_run":true}`).want(200); a.field("count") != "0" {
		t.Errorf("another account counts %s", a.body)
	}
	if a := w.call(otherToken, "GET", "/v1/redrives", "").want(200); a.field("data") != "[]" {
		t.Errorf("another account sees %s", a.body)
	}
	for range 2 {
		if a := w.call(adminToken, "POST", "/v1/redrives/"+id+"/cancel", "").want(200); a.field("state") != "cancelled" || a.field("finished_at") == "<none>" {
			t.Errorf("cancelled: %s", a.body)
		}
	}
	r, _ := w.redrives.Redrive(t.Context(), domain.DefaultAccount, uuid.MustParse(id))
	r.State = domain.RedriveDone
	w.redrives.set(r)
	w.call(adminToken, "POST", "/v1/redrives/"+id+"/cancel", "").want(409)
}

// Ensure many dead letters are redriven only by who knows how many they are.
func TestRedrives_confirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	post := func(confirm string) answer {
		return w.call(adminToken, "POST", "/v1/redrives", `{"channel":"crowded"`+confirm+`}`)
	}
	w.redrives.more = domain.MostUnconfirmed
	post("").want(202)
	post(`,"confirm":7`).want(202)
	w.redrives.more++
	for _, confirm := range []string{"", `,"confirm":1000`, `,"confirm":1002`, `,"confirm":0`} {
		if p := post(confirm).want(409).problem(); !strings.Contains(p.Detail, "1001") {
			t.Errorf("%s: %s", confirm, p.Detail)
		}
	}
	post(`,"confirm":1001`).want(202)
}

// Ensure what cannot be a filter is refused with its field.
func TestRedrives_rules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for body, field := range map[string]string{
		`{"from":"yesterday"}`: "from",
		`{"to":"2026-03-01"}`:  "to",
		`{"from":"2026-03-01T10:00:00Z","to":"2026-03-01T10:00:00Z"}`: "to",
		`{"reason":"ok"}`:   "reason",
		`{"kind":"letter"}`: "kind",
		`{"dry_run":"yes"}`: "dry_run",
		`{"confirm":-1}`:    "confirm",
		`{"confirm":1.5}`:   "confirm",
		`{"channel":"` + strings.Repeat("a", 65) + `"}`: "channel",
		`{"state":"dead"}`: "state",
		`{"from":"2026-03-01T10:00:00Z` + strings.Repeat("0", 64) + `"}`: "from",
	} {
		p := w.call(adminToken, "POST", "/v1/redrives", body).want(400).problem()
		if len(p.Errors) == 0 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	for _, reason := range domain.Reasons {
		if reason != domain.ReasonOK {
			w.call(adminToken, "POST", "/v1/redrives", `{"dry_run":true,"reason":"`+string(reason)+`"}`).want(200)
		}
	}
	for _, kind := range domain.DeliveryKinds {
		w.call(adminToken, "POST", "/v1/redrives", `{"dry_run":true,"kind":"`+string(kind)+`"}`).want(200)
	}
}
