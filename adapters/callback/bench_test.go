package callback

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// sink counts what it is sent and answers at once.
type sink struct {
	*httptest.Server
	n    atomic.Int64
	want atomic.Int64
	done chan struct{}
}

func newSink(b *testing.B) *sink {
	b.Helper()
	s := &sink{done: make(chan struct{}, 1)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"mId":"m1"}`) //nolint:errcheck // a benchmark
		if s.n.Add(1) == s.want.Load() {
			s.done <- struct{}{}
		}
	}))
	b.Cleanup(s.Close)
	return s
}

// BenchmarkDelivery sends messages to 16 endpoints, from the append of the event
// to the callback, with outcomes coming back, on the projection in memory and in
// Postgres. Its ceiling is a plain client that posts the same bodies.
func BenchmarkDelivery(b *testing.B) {
	b.Run("client", func(b *testing.B) {
		s := newSink(b)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
		body := []byte(fmt.Sprintf(`{"contact":"contact-1","text":%q}`, bytes.Repeat([]byte("x"), 500)))
		s.want.Store(int64(b.N))
		before := cpu()
		b.ResetTimer()
		var left atomic.Int64
		left.Store(int64(b.N))
		var workers sync.WaitGroup
		for range 64 {
			workers.Go(func() {
				for left.Add(-1) >= 0 {
					request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL, bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					request.Header.Set("Content-Type", "application/json")
					request.Header.Set("Idempotency-Key", "00000000-0000-0000-0000-000000000000")
					response, err := client.Do(request)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		}
		workers.Wait()
		report(b, before)
	})
	b.Run("worker-memory", func(b *testing.B) { benchmarkWorker(b, newMemory()) })
	b.Run("worker-postgres", func(b *testing.B) { benchmarkWorker(b, newTables(b)) })
}

func benchmarkWorker(b *testing.B, db store) {
	b.Helper()
	s := newSink(b)
	r := newRing(b, 4, db)
	r.server = s.Server
	var list []domain.Channel
	for i := range 16 {
		list = append(list, r.channel(name("c", i)))
	}
	w := r.start(func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	content := domain.Content{Type: domain.ContentText, Text: string(bytes.Repeat([]byte("x"), 500))}
	s.want.Store(int64(b.N))
	before := cpu()
	b.ResetTimer()
	var events []domain.Event
	for i := range b.N {
		events = append(events, list[i%16].Send(name("contact-", i%2000), uuid.New(), content, "", w.cfg.Now()))
		if len(events) == 200 || i == b.N-1 {
			if _, err := r.log.Append(b.Context(), events...); err != nil {
				b.Fatal(err)
			}
			events = nil
		}
	}
	<-s.done
	report(b, before)
	b.StopTimer()
	w.end()
}

// cpu tells what this process has used, the receiver included. Beside others on
// a busy machine it says more than the time on the wall.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/call")
}
