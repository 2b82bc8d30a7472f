package callback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-im/parley/domain"
)

// chaos is one long random story in faked time. What it may not break:
//
//   - the calls of a lane come in the order of the log, each message until it is settled
//   - one call of a lane at a time
//   - nothing is called again after its success was answered
//   - in the end everything is settled but what waits behind a dead letter
type chaos struct {
	*ring
	draw     sync.Mutex
	rng      *rand.Rand
	db       *memory
	worker   *running
	list     []domain.Channel
	contacts int
	sent     int

	// Under receiver.mu:
	busy    map[string]bool // by lane
	done    map[string]bool // by key
	refused map[string]bool // by key
	trouble []string

	peaceful atomic.Bool // everything works from now on
}

func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	c := &chaos{
		rng: rand.New(rand.NewPCG(seed, 1)), db: newMemory(), contacts: 70,
		busy: map[string]bool{}, done: map[string]bool{}, refused: map[string]bool{},
	}
	c.db.lag = func() {
		if c.pick(3) > 0 {
			time.Sleep(time.Duration(c.pick(1500)) * time.Millisecond) //nolint:forbidigo // the time is faked
		}
	}
	c.ring = newRing(t, 2, c.db)
	c.list = []domain.Channel{
		c.channel("c1", waits(time.Second, 300*time.Millisecond)),
		c.channel("c2", func(ch *domain.Channel) { ch.RatePerSecond = 30 }),
		c.channel("c3", waits(time.Second), func(ch *domain.Channel) { ch.Delivery.OnExhausted = domain.OnExhaustedContinue }),
	}
	c.receiver.block = c.enter
	c.receiver.answer = c.leave
	c.log.fail = func(e domain.Event) (bool, error) {
		_, outcome := e.Data.(domain.DeliveryAttempted)
		if !c.peaceful.Load() && outcome && c.pick(20) == 0 {
			return c.pick(2) == 0, errors.New("no acknowledgement")
		}
		return true, nil
	}
	return c
}

// pick draws from [0,n).
func (c *chaos) pick(n int) int {
	c.draw.Lock()
	defer c.draw.Unlock()
	return c.rng.IntN(n)
}

func (c *chaos) enter(call received) <-chan struct{} {
	c.receiver.mu.Lock()
	defer c.receiver.mu.Unlock()
	lane := call.channel + "/" + call.contact
	if c.busy[lane] {
		c.trouble = append(c.trouble, "two calls of "+lane+" at a time")
	}
	if c.done[call.key] {
		c.trouble = append(c.trouble, lane+" "+call.text+" was called after its success")
	}
	c.busy[lane] = true
	wait := make(chan struct{})
	time.AfterFunc(time.Duration(c.pick(40))*time.Millisecond, func() { close(wait) })
	return wait
}

func (c *chaos) leave(call received) (int, http.Header) {
	c.receiver.mu.Lock()
	defer c.receiver.mu.Unlock()
	c.busy[call.channel+"/"+call.contact] = false
	switch n := c.pick(100); {
	case c.peaceful.Load(), n < 60:
		c.done[call.key] = true
		return http.StatusOK, nil
	case n < 85:
		return http.StatusServiceUnavailable, nil
	case n < 95:
		return http.StatusTooManyRequests, http.Header{"Retry-After": {"3"}}
	default:
		c.refused[call.key] = true
		return http.StatusBadRequest, nil
	}
}

// restart ends the worker, if there is one, and starts another.
func (c *chaos) restart(change ...func(*Config)) {
	if c.worker != nil {
		c.worker.end()
		synctest.Wait()
		c.receiver.mu.Lock()
		clear(c.busy) // calls that were cut off
		c.receiver.mu.Unlock()
	}
	c.worker = c.start(append([]func(*Config){func(cfg *Config) {
		cfg.Window, cfg.WindowRows, cfg.TotalSlots, cfg.Slots = 40, 140, 20, 8
		cfg.mostParked = 1
		cfg.Jitter = func() float64 { return float64(c.pick(1000)) / 1000 }
	}}, change...)...)
}

func (c *chaos) step() {
	switch n := c.pick(100); {
	case n < 70:
		ch := c.list[c.pick(len(c.list))]
		contact := name("contact", c.pick(c.contacts))
		if c.pick(4) == 0 {
			contact = "chatty"
		}
		for range 1 + c.pick(20) {
			c.sent++
			c.send(ch, contact, strconv.Itoa(c.sent))
		}
	case n < 78:
		c.decide()
	case n < 81:
		c.db.setAway(true)
		time.AfterFunc(time.Duration(c.pick(20))*time.Second, func() { c.db.setAway(false) })
	case n < 83:
		c.restart()
	case n < 85: // a record lands twice
		records, _ := c.log.after(0, 0, 1<<30)
		if len(records) > 0 {
			if _, err := c.log.Append(context.Background(), records[c.pick(len(records))].Event); err != nil && c.peaceful.Load() {
				c.trouble = append(c.trouble, err.Error())
			}
		}
	default:
		time.Sleep(time.Duration(c.pick(3000)) * time.Millisecond) //nolint:forbidigo // the time is faked
	}
}

// decide redrives or drops a dead letter.
func (c *chaos) decide() {
	for _, d := range c.dead() {
		e, err := d.Redrive("somebody", time.Now())
		if c.pick(5) == 0 {
			e, err = d.Drop("somebody", time.Now())
		}
		if err == nil {
			_, _ = c.log.Append(context.Background(), e)
		}
		if c.pick(2) == 0 {
			return
		}
	}
}

func (c *chaos) dead() []domain.Delivery {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	var list []domain.Delivery
	for _, d := range c.db.rows {
		if d.State == domain.StateDead {
			list = append(list, *d)
		}
	}
	slices.SortFunc(list, func(a, b domain.Delivery) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return list
}

// unsettled lists what should not be open at the end.
func (c *chaos) unsettled() (list []domain.Delivery) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	for p := range 2 {
		for _, rows := range c.db.lanes(p) {
			if !rows[0].Parked {
				list = append(list, rows...)
			}
		}
	}
	return list
}

// check tells what has gone wrong with the order.
func (c *chaos) check() []string {
	c.receiver.mu.Lock()
	defer c.receiver.mu.Unlock()
	trouble := c.trouble
	last := map[string]int{}
	for _, call := range c.receiver.calls {
		if c.refused[call.key] {
			continue // its lane goes on, and it may be redriven out of order
		}
		n, _ := strconv.Atoi(call.text)
		lane := call.channel + "/" + call.contact
		if n < last[lane] && call.channel != "c3" { // c3 goes on behind a used-up schedule
			trouble = append(trouble, fmt.Sprintf("%s: %d came after %d", lane, n, last[lane]))
		}
		last[lane] = n
	}
	return trouble
}

// Ensure the promises of delivery hold in random stories.
func TestChaos(t *testing.T) {
	t.Parallel()
	seeds := 15
	if n, err := strconv.Atoi(os.Getenv("PARLEY_TEST_STORIES")); err == nil {
		seeds = n
	}
	base := rand.Uint64() >> 32
	for i := range seeds {
		seed := base + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			c := newChaos(t, seed)
			c.restart()
			for range 150 {
				c.step()
			}
			c.peaceful.Store(true)
			c.db.setAway(false)
			time.Sleep(10 * time.Minute) //nolint:forbidigo // the time is faked
			for _, d := range c.dead() {
				e, err := d.Redrive("somebody", time.Now())
				if err == nil {
					_, err = c.log.Append(t.Context(), e)
				}
				if err != nil {
					t.Error(err)
				}
			}
			time.Sleep(20 * time.Minute) //nolint:forbidigo // the time is faked
			synctest.Wait()
			if left := c.unsettled(); len(left) > 0 {
				t.Errorf("story %d: %d deliveries are left, such as %+v", seed, len(left), left[0])
			}
			if dead := c.dead(); len(dead) > 0 {
				t.Errorf("story %d: %d dead letters are left although everything was redriven", seed, len(dead))
			}
			if trouble := c.check(); len(trouble) > 0 {
				t.Errorf("story %d: %v", seed, trouble[:min(5, len(trouble))])
			}
			c.worker.end()
		})
	}
}
