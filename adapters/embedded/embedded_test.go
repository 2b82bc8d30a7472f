package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/parley-im/parley/adapters/embedded"
	"github.com/parley-im/parley/adapters/kafka"
)

// childDir names the environment variable that turns the test binary into a process
// that appends to an embedded log until it is killed.
const childDir = "PARLEY_EMBEDDED_TEST_DIR"

const topic = "events"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForEver appends with many callers and prints each acknowledged message: its
// partition, offset and id.
func appendForEver(dir string) error {
	log, err := embedded.Start(context.Background(), embedded.Config{Dir: dir, SegmentBytes: 64 << 10})
	if err != nil {
		return err
	}
	admin := kafka.NewLog(log.Brokers())
	if err := admin.EnsureTopic(context.Background(), topic, 4, 1, nil); err != nil {
		return err
	}
	pub, err := kafka.NewPublisher(kafka.PublisherConfig{Brokers: log.Brokers(), Sync: log.Sync})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var out sync.Mutex
	for range 32 {
		wg.Go(func() {
			for {
				msg := message.NewMessage(watermill.NewUUID(), []byte(strings.Repeat("x", 300)))
				if err := pub.Publish(topic, msg); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				partition, offset, _ := kafka.PositionOf(msg)
				out.Lock()
				fmt.Fprintln(os.Stdout, partition, offset, msg.UUID)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.New("all callers have ended")
}

func start(t *testing.T, cfg embedded.Config) *embedded.Log {
	t.Helper()
	log, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func publisher(t *testing.T, log *embedded.Log) *kafka.Publisher {
	t.Helper()
	pub, err := kafka.NewPublisher(kafka.PublisherConfig{Brokers: log.Brokers(), Sync: log.Sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pub.Close() })
	return pub
}

func ensureTopic(t *testing.T, log *embedded.Log, partitions int) {
	t.Helper()
	admin := kafka.NewLog(log.Brokers())
	t.Cleanup(func() { admin.Close() })
	if err := admin.EnsureTopic(t.Context(), topic, partitions, 1, map[string]string{"retention.ms": "-1"}); err != nil {
		t.Fatal(err)
	}
}

type place struct {
	partition int
	offset    int64
}

// contents returns the ids of all messages of the topic by their place.
func contents(t *testing.T, log *embedded.Log) map[place]string {
	t.Helper()
	admin := kafka.NewLog(log.Brokers())
	defer admin.Close()
	ends, err := admin.Ends(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[place]string{}
	for partition, end := range ends {
		for msg, err := range admin.Scan(t.Context(), topic, partition, kafka.Earliest, end) {
			if err != nil {
				t.Fatal(err)
			}
			_, offset, _ := kafka.PositionOf(msg)
			ids[place{partition, offset}] = msg.UUID
		}
	}
	return ids
}

// Ensure what was acknowledged is at the same place after a clean restart, across
// segments.
func TestReopen(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Dir: t.TempDir(), SegmentBytes: 10_000}
	log := start(t, cfg)
	ensureTopic(t, log, 2)
	pub := publisher(t, log)
	want := map[place]string{}
	for range 200 {
		msg := message.NewMessage(watermill.NewUUID(), []byte(strings.Repeat("x", 300)))
		if err := pub.Publish(topic, msg); err != nil {
			t.Fatal(err)
		}
		partition, offset, _ := kafka.PositionOf(msg)
		want[place{partition, offset}] = msg.UUID
	}
	pub.Close()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	segments, _ := filepath.Glob(filepath.Join(cfg.Dir, "partitions", topic+"-0", "*.dat"))
	if len(segments) < 3 {
		t.Errorf("%d segments: too few for this test to mean something", len(segments))
	}
	got := contents(t, start(t, cfg))
	if len(got) != len(want) {
		t.Errorf("%d messages after the restart, want %d", len(got), len(want))
	}
	for p, id := range want {
		if got[p] != id {
			t.Fatalf("%v holds %q, want %q", p, got[p], id)
		}
	}
}

// Ensure a process that is killed under load loses nothing it acknowledged.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[place]string{}
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var p place
			var id string
			if _, err := fmt.Sscan(lines.Text(), &p.partition, &p.offset, &id); err != nil {
				break // the last line may be torn
			}
			acked[p] = id
			if n == 1000 {
				if err := child.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		if len(acked) < 1000*(round+1) {
			t.Fatalf("only %d appends acknowledged", len(acked))
		}
	}
	got := contents(t, start(t, embedded.Config{Dir: dir}))
	t.Logf("%d acknowledged, %d in the log", len(acked), len(got))
	for p, id := range acked {
		if got[p] != id {
			t.Fatalf("%v holds %q, want %q", p, got[p], id)
		}
	}
}

// Ensure that committed offsets survive a kill that tore the end of their file, and
// so do those committed afterwards.
func TestTornGroups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		log := start(t, embedded.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		client := &kafkago.Client{Addr: kafkago.TCP(log.Brokers()...), Timeout: 10 * time.Second}
		if round == 0 {
			ensureTopic(t, log, 1)
		} else if got := fetchOffset(t, client); got != int64(round*10) {
			t.Errorf("round %d: committed %d, want %d", round, got, round*10)
		}
		res, err := client.OffsetCommit(t.Context(), &kafkago.OffsetCommitRequest{
			GroupID: "g", GenerationID: -1,
			Topics: map[string][]kafkago.OffsetCommit{topic: {{Partition: 0, Offset: int64(10 * (round + 1))}}},
		})
		if err != nil || res.Topics[topic][0].Error != nil {
			t.Fatal(err, res)
		}
		// A copy of the running log is what a kill leaves behind; then its end is torn.
		killed := t.TempDir()
		if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(killed, "groups.log"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte{40, 0, 0, 0, 1, 2, 3, 4, 1, 0, '{', '"'}); err != nil {
			t.Fatal(err)
		}
		f.Close()
		dir = killed
	}
}

func fetchOffset(t *testing.T, client *kafkago.Client) int64 {
	t.Helper()
	res, err := client.OffsetFetch(t.Context(), &kafkago.OffsetFetchRequest{GroupID: "g", Topics: map[string][]int{topic: {0}}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Topics[topic][0].CommittedOffset
}

// Ensure records whose list of topics is gone are not taken for an empty log.
func TestDamaged(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"topics.json", "meta.json"} {
		cfg := embedded.Config{Dir: t.TempDir()}
		log := start(t, cfg)
		ensureTopic(t, log, 1)
		if err := publisher(t, log).Publish(topic, message.NewMessage("1", []byte("x"))); err != nil {
			t.Fatal(err)
		}
		log.Close()
		if err := os.Remove(filepath.Join(cfg.Dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.Start(t.Context(), cfg); !errors.Is(err, embedded.ErrDamaged) {
			t.Errorf("start without %s: %v, want ErrDamaged", name, err)
		}
	}
}

// Ensure one process at a time: a second start on the same directory is refused.
func TestLocked(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{Dir: t.TempDir()}
	first := start(t, cfg)
	if _, err := embedded.Start(t.Context(), cfg); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("second start: %v, want ErrLocked", err)
	}
	first.Close()
	start(t, cfg)
}

// Ensure the barrier takes part in every append, whatever segment it is in, also
// with many callers, and fails after Close.
func TestSync(t *testing.T) {
	t.Parallel()
	log := start(t, embedded.Config{Dir: t.TempDir(), SegmentBytes: 5_000})
	ensureTopic(t, log, 2)
	pub := publisher(t, log)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 50 {
				msg := message.NewMessage(strconv.Itoa(i), []byte(strings.Repeat("x", n)))
				if err := pub.Publish(topic, msg); err != nil {
					t.Error(err)
					return
				}
				partition, offset, _ := kafka.PositionOf(msg)
				if err := log.Sync(t.Context(), topic, partition, offset); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := log.Sync(t.Context(), "missing", 0, 0); err == nil {
		t.Error("a sync of a missing topic succeeds")
	}
	log.Close()
	if err := log.Sync(t.Context(), topic, 0, 0); err == nil {
		t.Error("a sync after Close succeeds")
	}
}
