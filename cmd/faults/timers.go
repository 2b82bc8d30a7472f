package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// timerFaults are the cases in which those end who look after timers.
func timerFaults() []fault {
	return []fault{{
		name: "kill-" + roleTimers, promise: "what is due is closed once, and in time",
		breaks: "kill -9 of one of two nodes with role timers while conversations fall due",
		logs:   []string{onEmbedded, onKafka}, rounds: 50, beside: true, play: killTimers,
		without: "the claims: 399 of 1750 decisions were in the log twice; the look at what a close has seen: the integration was told of closes that were void",
	}}
}

// killTimers has conversations fall due all the time, and kills one of the two nodes
// that look after them, round after round. What became of every conversation is
// looked at when the last one has fallen due.
func killTimers(ctx context.Context, r *run) error {
	s, err := r.bare(ctx)
	if err != nil {
		return err
	}
	if err := s.add(ctx, roleAPI, roleProjector+","+roleDelivery, roleTimers, roleTimers); err != nil {
		return err
	}
	s.open(ctx, s.nodes[0])
	d, err := s.fallDue(ctx)
	if err != nil {
		return err
	}
	err = pause(ctx, d.first())
	if err == nil {
		err = s.each(ctx, func(ctx context.Context, n int) error {
			victim := s.nodes[2+s.random.IntN(2)]
			after := s.moment(200*time.Millisecond, 1500*time.Millisecond)
			if err := pause(ctx, after); err != nil {
				return err
			}
			over := d.strike()
			victim.kill()
			if err := pause(ctx, s.moment(0, time.Second)); err != nil {
				return err
			}
			if err := victim.start(ctx); err != nil {
				return err
			}
			over()
			s.sayf("round %d/%d: %s killed after %s", n+1, s.rounds, victim.name, after.Round(time.Millisecond))
			return pause(ctx, 500*time.Millisecond)
		})
	}
	d.end()
	return errors.Join(err, d.check(ctx))
}

// Load of conversations that fall due. In the short form only their waits in a queue
// end: no closing timer is shorter than a minute.
const (
	dueEvery      = 80 * time.Millisecond // between two contacts who begin to write
	dueClose      = time.Minute           // the shortest closing time there is
	dueWait       = 10 * time.Second
	dueWaitShort  = time.Second
	dueTokenTime  = 14 * time.Minute // of the 15 for which a login is good
	dueAgainRange = 150 * time.Millisecond
)

// fallDue starts load of contacts of Voximplant Kit who write, wait in a queue that
// nobody serves, are taken out of it by a timer, and are closed by another one.
// Every third writes again at the moment in which the closing timer runs out.
func (s *stand) fallDue(ctx context.Context) (*dues, error) {
	d := &dues{stand: s, wait: dueWait, closes: s.full(), stop: make(chan struct{})}
	if !d.closes {
		d.wait = dueWaitShort
	}
	hooks, err := s.newClosings(ctx)
	if err != nil {
		return nil, err
	}
	d.hooks = hooks
	if err := d.makeChannel(ctx); err != nil {
		return nil, err
	}
	if err := d.login(ctx); err != nil {
		return nil, err
	}
	d.began = time.Now()
	d.all.Go(func() {
		for c := 0; ctx.Err() == nil; c++ {
			select {
			case <-d.stop:
				return
			case <-time.After(dueEvery):
			}
			d.all.Go(func() { d.contact(ctx, c) })
		}
	})
	return d, nil
}

// first is how long it takes until timers run out.
func (d *dues) first() time.Duration {
	if d.closes {
		return dueClose
	}
	return d.wait
}

// contact writes once, and every third one again when the conversation is about to
// be closed, or just closed.
func (d *dues) contact(ctx context.Context, c int) {
	contact := fmt.Sprintf("due_c%05d", c)
	d.say(ctx, contact, contact+"-0")
	if !d.closes || c%3 != 0 {
		return
	}
	// Spread evenly about the moment.
	about := time.Duration(c/3%31-15) * dueAgainRange / 15
	if pause(ctx, dueClose+about) == nil {
		d.say(ctx, contact, contact+"-1")
	}
}

// end stops the load; it returns when every contact has said what it had to say.
func (d *dues) end() {
	close(d.stop)
	d.all.Wait()
}
