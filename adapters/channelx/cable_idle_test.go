//go:build sockets

package channelx

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Environment of the measurement.
const (
	socketsWanted = "PARLEY_TEST_SOCKETS"     // how many
	socketsURL    = "PARLEY_TEST_SOCKETS_URL" // set for the process of the clients
	socketsText   = "PARLEY_TEST_SOCKETS_IDENTIFIER"
)

// TestIdleSockets measures what subscribed sockets cost that are told nothing but
// pings, and how long it takes until all of them are told of an event. The clients
// are another process.
func TestIdleSockets(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv(socketsWanted))
	if err != nil {
		count = 10_000
	}
	if url := os.Getenv(socketsURL); url != "" {
		beClients(t, url, os.Getenv(socketsText), count)
		return
	}
	s := newStudio(t, newFakeLog(), func(o *Sockets) { o.Most, o.PerAddress = count+1, count+1 })
	before := usage(t)
	clients := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIdleSockets$", "-test.v", "-test.timeout=10m") //nolint:gosec // this program
	clients.Env = append(os.Environ(), socketsURL+"=ws"+strings.TrimPrefix(s.server.URL, "http")+"/cable", socketsText+"="+s.contactIdentifier(anas),
		socketsWanted+"="+strconv.Itoa(count))
	out, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	clients.Stderr = os.Stderr
	began := time.Now()
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	expect := func(word string) string {
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), word); ok {
				return strings.TrimSpace(rest)
			}
		}
		t.Fatalf("the clients ended before %s", word)
		return ""
	}
	expect("connected")
	t.Logf("%d sockets connected and subscribed in %s, of which the clients' work is a part", count, time.Since(began).Round(10*time.Millisecond))
	runtime.GC()
	idle := usage(t)
	const minute = time.Minute
	<-time.After(minute)
	after := usage(t)
	per := func(bytes uint64) float64 { return float64(bytes) / float64(count) / 1024 }
	t.Logf("memory of a socket: %.1f KiB resident, of it %.1f KiB heap and %.1f KiB stacks", per(after.resident-before.resident), per(idle.heap-before.heap), per(idle.stacks-before.stacks))
	cpu := after.cpu - idle.cpu
	t.Logf("CPU of %d idle sockets: %.2f %% of one core, %.1f µs a socket and second", count,
		100*cpu.Seconds()/minute.Seconds(), float64(cpu.Microseconds())/minute.Seconds()/float64(count))
	ana := newTalk(1, identity(anas, anasID))
	for id := range int64(5) {
		busy := usage(t)
		io.WriteString(in, "tell\n") //nolint:errcheck // the next line tells
		expect("ready")
		s.log.append(ana.replies(id+1, "It ships today."))
		took := expect("told")
		t.Logf("an event to all of them: the last client had it after %s; %.1f µs of CPU a frame", took,
			float64((usage(t).cpu-busy.cpu).Microseconds())/float64(count))
	}
	in.Close()
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
}

// spent is what this process has taken.
type spent struct {
	resident, heap, stacks uint64 // bytes
	cpu                    time.Duration
}

func usage(t *testing.T) spent {
	t.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return spent{
		resident: pages * uint64(os.Getpagesize()), heap: m.HeapInuse, stacks: m.StackInuse,
		cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano()),
	}
}

// beClients opens sockets, and tells when all of them were told of an event.
func beClients(t *testing.T, url, identifier string, count int) {
	ctx, cancel := context.WithCancel(t.Context())
	var told atomic.Int64
	var begun atomic.Pointer[time.Time]
	all := make(chan time.Duration, 1)
	var connecting, reading sync.WaitGroup
	subscribe := fmt.Appendf(nil, `{"command":"subscribe","identifier":%s}`, strconv.Quote(identifier))
	for w := range 50 {
		connecting.Go(func() {
			for i := w; i < count; i += 50 {
				conn, _, err := websocket.Dial(ctx, url, nil)
				if err != nil {
					t.Errorf("socket %d: %v", i, err)
					return
				}
				if err := conn.Write(ctx, websocket.MessageText, subscribe); err != nil {
					t.Errorf("socket %d: %v", i, err)
					return
				}
				for confirmed := false; !confirmed; {
					_, frame, err := conn.Read(ctx)
					if err != nil {
						t.Errorf("socket %d: %v", i, err)
						return
					}
					confirmed = strings.Contains(string(frame), "presence.update")
				}
				reading.Go(func() {
					defer conn.CloseNow()
					for {
						_, frame, err := conn.Read(ctx)
						if err != nil {
							return
						}
						if strings.Contains(string(frame), "message.created") && told.Add(1)%int64(count) == 0 {
							all <- time.Since(*begun.Load())
						}
					}
				})
			}
		})
	}
	connecting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	fmt.Println("connected")
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		now := time.Now()
		begun.Store(&now)
		fmt.Println("ready")
		fmt.Println("told", (<-all).Round(time.Millisecond))
	}
	cancel()
	reading.Wait()
}
