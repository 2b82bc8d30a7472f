//go:build kafka

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/kafka/kafkatest"
)

// TestBrokerKilledUnderLoad: one broker of three is killed while two nodes work.
// Posts are taken in again within seconds, nothing that was accepted is lost,
// nothing is stored twice, and callbacks go on in order.
func TestBrokerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	kafka := kafkatest.New(t, 3)
	c := newCluster(t, strings.Join(kafka.Brokers(), ","))
	a, b := c.two()
	c.shared()
	hooks := newListener(t, 5*time.Millisecond)
	l := c.load(c.channel(hooks.URL), 16, 60)
	l.pause = 50 * time.Millisecond
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(t, a, b)
	}()
	l.reached(t, l.total()/3)
	if err := kafka.Kill(0); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	accepted := l.answered.Load()
	eventually(t, time.Minute, "posts taken in again", func() bool { return l.answered.Load() >= accepted+int64(l.contacts) })
	t.Logf("killed with %d posts accepted; as many again as there are contacts after %s", accepted, time.Since(killed).Round(100*time.Millisecond))
	<-done
	l.check(t, a, hooks)
	l.check(t, b, hooks)
	t.Logf("%d of %d posts accepted; all told %s after the kill; %d calls repeated", l.answered.Load(), l.total(),
		time.Since(killed).Round(100*time.Millisecond), len(hooks.repeated()))
	c.stop()
}
