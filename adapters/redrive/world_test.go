package redrive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const account = "acme"

// world is a job, its dead letters, the log, and the rows that follow it. A claim
// whose epoch is not the newest does nothing, as with the table of jobs.
type world struct {
	t *testing.T

	mu       sync.Mutex
	job      domain.Redrive
	epoch    int64
	owner    string
	until    time.Time // the lease's end
	plan     *domain.RedrivePlan
	letters  []domain.Delivery // all of the job, in order
	counted  map[uuid.UUID]int // how often each was counted
	appended map[uuid.UUID]int // how often each event is in the log, by its id
	order    []uuid.UUID       // deliveries as they were appended first
	trouble  []string          // that claims were released with
	delivers bool              // endpoints take what is redriven at once
	tried    map[uuid.UUID]bool

	refuses  func() error // of Append; nil = it takes all
	dies     func()       // called between Append and the count
	maxWaits int          // most that waited at one endpoint
}

// newWorld has so many dead letters at each of some endpoints.
func newWorld(t *testing.T, each int, channels ...string) *world {
	t.Helper()
	w := &world{
		t: t, counted: map[uuid.UUID]int{}, appended: map[uuid.UUID]int{}, tried: map[uuid.UUID]bool{}, delivers: true,
	}
	for _, channel := range channels {
		for i := range each {
			w.letters = append(w.letters, domain.Delivery{
				ID: domain.DeriveID("letter", channel, fmt.Sprint(i)), Account: account, Channel: channel,
				Dialect: domain.DialectRespondIO, ContactRef: "c", Kind: domain.DeliverMessage, State: domain.StateDead, Attempts: 3,
				Position: domain.Position{Offset: int64(len(w.letters))},
			})
		}
	}
	w.job = domain.Redrive{
		ID: uuid.New(), Filter: domain.RedriveFilter{Account: account}, State: domain.RedriveRunning,
		Total: int64(len(w.letters)), By: "ops", CreatedAt: time.Now(),
	}
	return w
}

func (w *world) ClaimRedrive(_ context.Context, owner string, lease time.Duration, steal bool) (domain.RedriveClaim, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.job.State != domain.RedriveRunning || (!steal && w.owner != "" && w.owner != owner && time.Now().Before(w.until)) {
		return domain.RedriveClaim{}, false, nil
	}
	w.epoch++
	w.owner, w.until = owner, time.Now().Add(lease)
	return domain.RedriveClaim{Redrive: w.job, Epoch: w.epoch, Plan: w.plan}, true, nil
}

func (w *world) ReleaseRedrive(_ context.Context, c domain.RedriveClaim, trouble string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Epoch == w.epoch {
		w.owner = ""
		w.trouble = append(w.trouble, trouble)
	}
	return nil
}

func (w *world) FailRedrive(_ context.Context, c domain.RedriveClaim, now time.Time, why string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Epoch == w.epoch {
		w.job.State, w.job.Error, w.job.FinishedAt = domain.RedriveFailed, why, &now
	}
	return nil
}

func (w *world) CountRedrives(context.Context) (map[domain.RedriveState]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return map[domain.RedriveState]int64{w.job.State: 1}, nil
}

// open lists what the job has not come to at a target: a letter whose event is in
// the log is none any more.
func (w *world) open(target string) []domain.Delivery {
	return slices.DeleteFunc(slices.Clone(w.letters), func(d domain.Delivery) bool {
		return d.Channel != target || w.counted[d.ID] > 0 || slices.Contains(w.order, d.ID)
	})
}

func (w *world) RedriveTargets(_ context.Context, c domain.RedriveClaim, limit int) ([]domain.RedriveTarget, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Epoch != w.epoch {
		return nil, nil
	}
	var list []domain.RedriveTarget
	for _, d := range w.letters {
		if slices.ContainsFunc(list, func(t domain.RedriveTarget) bool { return t.Name == d.Channel }) || len(w.open(d.Channel)) == 0 {
			continue
		}
		waiting := 0
		for _, other := range w.letters {
			if other.Channel == d.Channel && w.counted[other.ID] > 0 && !w.tried[other.ID] && !w.delivers {
				waiting++
			}
		}
		w.maxWaits = max(w.maxWaits, waiting)
		list = append(list, domain.RedriveTarget{Name: d.Channel, Waiting: waiting})
	}
	return list[:min(len(list), limit)], nil
}

func (w *world) RedrivePage(_ context.Context, c domain.RedriveClaim, targets []domain.RedriveTarget) ([]domain.Delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Epoch != w.epoch {
		return nil, nil
	}
	var page []domain.Delivery
	for _, t := range targets {
		letters := w.open(t.Name)
		page = append(page, letters[:min(t.Room, len(letters))]...)
	}
	return page, nil
}

func (w *world) PlanRedrive(_ context.Context, c domain.RedriveClaim, plan domain.RedrivePlan, lease time.Duration) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Epoch != w.epoch || w.job.State != domain.RedriveRunning {
		return false, nil
	}
	w.plan, w.until = &plan, time.Now().Add(lease)
	return true, nil
}

func (w *world) PlannedDeliveries(_ context.Context, c domain.RedriveClaim) ([]domain.Delivery, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.Delivery
	for _, item := range c.Plan.Items {
		i := slices.IndexFunc(w.letters, func(d domain.Delivery) bool { return d.ID == item.ID })
		list = append(list, w.letters[i])
	}
	return list, nil
}

func (w *world) AdvanceRedrive(_ context.Context, c domain.RedriveClaim, steps []domain.RedriveStep, now time.Time, lease time.Duration) (domain.Redrive, bool, error) {
	if w.dies != nil {
		w.dies()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Epoch != w.epoch {
		return domain.Redrive{}, false, nil
	}
	if w.plan != nil {
		for _, item := range w.plan.Items {
			w.counted[item.ID]++
			w.job.Redriven++
		}
	}
	_ = steps
	w.plan, w.until = nil, time.Now().Add(lease)
	if !slices.ContainsFunc(w.letters, func(d domain.Delivery) bool { return len(w.open(d.Channel)) > 0 }) {
		w.job.State, w.job.FinishedAt = domain.RedriveDone, &now
	}
	return w.job, true, nil
}

// Append keeps what the log is told.
func (w *world) Append(_ context.Context, events ...domain.Event) ([]domain.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses != nil {
		if err := w.refuses(); err != nil {
			return nil, err
		}
	}
	positions := make([]domain.Position, len(events))
	for i, e := range events {
		d, ok := e.Data.(domain.DeliveryRedriven)
		if !ok || d.By != "ops" || d.Attempt != 3 {
			w.t.Errorf("appended %+v", e.Data)
		}
		if w.appended[e.ID]++; w.appended[e.ID] == 1 {
			w.order = append(w.order, d.DeliveryID)
		}
		positions[i] = domain.Position{Offset: int64(len(w.order))}
	}
	return positions, nil
}

// Channel knows every channel; one named "slow" takes two calls a second.
func (w *world) Channel(id string) (domain.Channel, bool) {
	ch := domain.Channel{ID: id, Account: account}
	if id == "slow" {
		ch.RatePerSecond = 2
	}
	return ch, true
}

// Fresh and Reached tell that the rows are there.
func (w *world) Fresh(context.Context, string) error                    { return nil }
func (w *world) Reached(context.Context, string, domain.Position) error { return nil }

// runner starts a Runner on the world and gives what ends it.
func (w *world) runner(edit func(*Config)) (stop func()) {
	w.t.Helper()
	cfg := Config{Store: w, Log: w, Channels: w, Freshness: w}
	if edit != nil {
		edit(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	return func() { cancel(); <-done }
}

// pass lets time go by in a bubble, and everybody come to rest.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// state gives the job as it stands.
func (w *world) state() domain.Redrive {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.job
}

// allOnce makes sure that every letter was redriven, counted once, and in order.
func (w *world) allOnce() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.job.State != domain.RedriveDone || w.job.Redriven != w.job.Total {
		w.t.Fatalf("the job: %+v", w.job)
	}
	last := map[string]int64{}
	for _, id := range w.order {
		d := w.letters[slices.IndexFunc(w.letters, func(d domain.Delivery) bool { return d.ID == id })]
		if before, ok := last[d.Channel]; ok && before >= d.Position.Offset {
			w.t.Fatalf("%s: %d comes after %d", d.Channel, d.Position.Offset, before)
		}
		last[d.Channel] = d.Position.Offset
	}
	for _, d := range w.letters {
		if w.counted[d.ID] != 1 {
			w.t.Fatalf("%s was counted %d times", d.ID, w.counted[d.ID])
		}
	}
	if len(w.order) != len(w.letters) {
		w.t.Fatalf("%d of %d are in the log", len(w.order), len(w.letters))
	}
}

var errAway = &domain.Error{Code: domain.CodeUnavailable, Message: "the log is away", Err: errors.New("refused")}
