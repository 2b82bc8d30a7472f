package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// cutLargest cuts the last half of the largest file of events of an embedded log off.
func cutLargest(t *testing.T, log string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(log, "partitions", "*events-*", "*.dat"))
	if err != nil {
		t.Fatal(err)
	}
	var largest string
	var size int64
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > size {
			largest, size = file, info.Size()
		}
	}
	if err := os.Truncate(largest, size/2); err != nil {
		t.Fatal(err)
	}
}

// TestLogRegrown: records of the log are gone, and what was accepted since has taken
// their places before anybody projects. Both projections refuse to go on over it and
// say so; with the right log put back everything goes on.
func TestLogRegrown(t *testing.T) {
	t.Parallel()
	p := startParley(t, func(s *settings) { // a file of it is cut
		s.KafkaBrokers, s.TopicPrefix = nil, "parley"
	})
	ch := p.channel(`{"dialect":"respondio","name":"Cut","id_type":"phone","callback_url":"http://127.0.0.1:9"}`)
	post := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if status, _, raw := p.do(http.MethodPost, "/custom/channel/webhook/", ch.APIToken, inboundBody(ch.ID, "+15550100", fmt.Sprint("m", i))); status != http.StatusOK {
				t.Fatalf("post: %d %s", status, raw)
			}
		}
	}
	texts := func() int {
		t.Helper()
		var n int
		if err := p.dev.node.pool.QueryRow(t.Context(), "select count(*) from messages").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const words = 20
	post(0, words)
	eventually(t, time.Minute, "all is projected", func() bool { return p.dev.node.Fresh(t.Context(), "conversations") == nil && texts() == words })
	if err := p.dev.node.Fresh(t.Context(), "deliveries"); err != nil {
		t.Fatal(err)
	}
	p.stop()
	log, whole := filepath.Join(p.dir, "log"), filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(whole, os.DirFS(log)); err != nil {
		t.Fatal(err)
	}
	cutLargest(t, log)

	p.set.Roles = []string{roleAPI}
	p.start()
	post(words, 3*words)
	p.stop()

	p.set.Roles = allRoles
	p.start()
	said := regexp.MustCompile(`projection (conversations|deliveries) stands still in partition \d+ of parley\.events: the log holds another event at \d+:\d+ .*the log was cut and has grown again; put the copy of the log back, or drop the database and let it be built again`)
	eventually(t, time.Minute, "the node says that it is another log", func() bool {
		status, _, raw := p.do(http.MethodGet, "/readyz", "", "")
		return status == http.StatusServiceUnavailable && said.Match(raw)
	})
	eventually(t, time.Minute, "both projections count it", func() bool {
		_, _, raw := p.do(http.MethodGet, "/metrics", "", "")
		stopped := regexp.MustCompile(`(?m)^parley_log_partitions_stopped\{.*reader="(conversations|deliveries)".*\} 1$`)
		return len(stopped.FindAll(raw, -1)) == 2
	})
	post(3*words, 3*words+5) // ingest goes on
	if n := texts(); n != words {
		t.Errorf("the rows have %d messages, want the %d of before", n, words)
	}
	p.stop()

	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(log, os.DirFS(whole)); err != nil {
		t.Fatal(err)
	}
	p.start()
	eventually(t, time.Minute, "the node is ready", func() bool {
		status, _, _ := p.do(http.MethodGet, "/readyz", "", "")
		return status == http.StatusOK
	})
	post(words, words+3)
	eventually(t, time.Minute, "new messages are projected", func() bool { return texts() == words+3 })
}
