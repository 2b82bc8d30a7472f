package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// TestWrongMachineClock: a node goes by the clock of its database, whatever that of
// its machine says, and tells how far that is off.
func TestWrongMachineClock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ahead")
	if err := os.WriteFile(file, []byte("1h"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, t.TempDir(), "PARLEY_TEST_MACHINE_CLOCK="+file)
	var ch struct {
		CreatedAt time.Time `json:"created_at"`
	}
	status := p.api(http.MethodPost, "/v1/channels",
		`{"dialect":"respondio","name":"Clock","id_type":"custom","callback_url":"http://127.0.0.1:1/callbacks"}`, &ch)
	if status != http.StatusCreated {
		t.Fatalf("create a channel: %d", status)
	}
	if off := time.Since(ch.CreatedAt); off.Abs() > time.Minute {
		t.Errorf("the channel was made %s ago", off)
	}
	found := regexp.MustCompile(`(?m)^parley_clock_ahead_seconds (\S+)$`).FindStringSubmatch(p.metrics())
	if found == nil {
		t.Fatal("no metric tells of the clock")
	}
	if ahead, err := strconv.ParseFloat(found[1], 64); err != nil || ahead < 3590 || ahead > 3610 {
		t.Errorf("the clock is %s s ahead: %v", found[1], err)
	}
}
