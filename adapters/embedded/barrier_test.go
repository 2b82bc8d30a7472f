package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Ensure each sync covers the segments that appeared since the last one, and that
// callers share syncs.
func TestPartitionSync(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "partitions", "events-0")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	segment := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &partition{root: root, dir: dir, base: -1, turn: make(chan struct{}, 1)}
	t.Cleanup(func() { p.close() })
	for _, step := range []struct {
		files []string
		base  int64
	}{
		{[]string{"0.dat", "0.idx"}, 0},
		{nil, 0},
		{[]string{"90.dat", "90.idx", "snapshot.json"}, 90},
		{[]string{"200.dat", "1000.dat"}, 1000},
	} {
		for _, f := range step.files {
			segment(f)
		}
		if err := p.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.base != step.base {
			t.Errorf("after %v the active segment is %d, want %d", step.files, p.base, step.base)
		}
	}

	// Callers that come while the disk is busy are covered by one sync.
	p.turn <- struct{}{}
	var wg sync.WaitGroup
	before := p.ticket(0)
	for range 20 {
		wg.Go(func() {
			if err := p.sync(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for p.ticket(0) < before+20 {
		runtime.Gosched()
	}
	<-p.turn
	wg.Wait()
	if p.synced != before+20 {
		t.Errorf("synced up to ticket %d, want %d", p.synced, before+20)
	}
	if p.flushes > 5 {
		t.Errorf("%d flushes for 24 calls, want 5", p.flushes)
	}
}

// Ensure a failed sync fails the partition for good, and any other error does not.
func TestPartitionSyncFails(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "partitions", "events-0")
	p := &partition{root: root, dir: dir, base: -1, turn: make(chan struct{}, 1)}
	if p.sync(t.Context()) == nil {
		t.Fatal("a sync of nothing succeeds")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0.dat"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.sync(t.Context()); err != nil {
		t.Fatalf("after an error that was no failed sync: %v", err)
	}
	p.active.Close() // now the sync fails
	if p.sync(t.Context()) == nil {
		t.Fatal("a sync of a closed file succeeds")
	}
	p.active = nil
	if p.sync(t.Context()) == nil {
		t.Error("a sync after a failed one succeeds")
	}
}

// Ensure only whole entries are kept.
func TestWholeEntries(t *testing.T) {
	t.Parallel()
	entry := []byte{3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 'x'}
	binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(entry[8:], crc32.MakeTable(crc32.Castagnoli)))
	two := append(append([]byte{}, entry...), entry...)
	flipped := append([]byte{}, two...)
	flipped[len(entry)+10] ^= 1
	for name, c := range map[string]struct {
		data []byte
		want int
	}{
		"empty":        {nil, 0},
		"two":          {two, 22},
		"cut":          {two[:21], 11},
		"cut header":   {two[:14], 11},
		"flipped":      {flipped, 11},
		"zeros":        {append(append([]byte{}, entry...), make([]byte, 4096)...), 11},
		"huge length":  {append(append([]byte{}, entry...), 255, 255, 255, 255, 0, 0, 0, 0, 1, 0), 11},
		"only garbage": {[]byte("nothing of an entry"), 0},
	} {
		if got := wholeEntries(c.data); got != c.want {
			t.Errorf("%s: %d bytes kept, want %d", name, got, c.want)
		}
	}
}
