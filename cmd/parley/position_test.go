package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPositionsBeyondTheLog: a read as of a position that the log has is answered;
// one that it does not have, or in a partition that is not there, is refused soon,
// with where the log ends.
func TestPositionsBeyondTheLog(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	o := s.office(t)
	v := o.talk(t)
	said := o.suite.send(t, http.MethodPost, "/v1/conversations/"+v.onPlatform(t)+"/messages", cxHeaders{"Authorization": "Bearer " + o.admin},
		object{"type": "text", "text": "hello"})
	var partition int
	var offset int64
	if _, err := fmt.Sscanf(said.header.Get("Parley-Position"), "%d:%d", &partition, &offset); err != nil {
		t.Fatalf("position of %d %s: %v", said.status, said.raw, err)
	}
	read := func(path, position string) (answered, string) {
		t.Helper()
		began := time.Now()
		got := o.suite.send(t, http.MethodGet, path, cxHeaders{"Authorization": "Bearer " + o.admin, "Parley-Position": position}, nil)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s as of %s took %s", path, position, took)
		}
		var problem struct {
			Errors []struct {
				In      string `json:"in"`
				Field   string `json:"field"`
				Message string `json:"message"`
			} `json:"errors"`
		}
		if got.status != http.StatusBadRequest {
			return got, ""
		}
		if err := json.Unmarshal(got.raw, &problem); err != nil || len(problem.Errors) != 1 || problem.Errors[0].Field != "Parley-Position" || problem.Errors[0].In != "header" {
			t.Fatalf("%s as of %s: %s", path, position, got.raw)
		}
		return got, problem.Errors[0].Message
	}
	for _, path := range []string{"/v1/conversations", "/v1/deliveries"} {
		if got, _ := read(path, fmt.Sprintf("%d:%d", partition, offset)); got.status != http.StatusOK {
			t.Errorf("%s as of what was answered: %d %s", path, got.status, got.raw)
		}
		for position, want := range map[string]string{
			fmt.Sprintf("%d:%d", partition, offset+1_000_000): fmt.Sprintf("partition %d ends before offset ", partition),
			fmt.Sprintf("%d:9223372036854775807", partition):  fmt.Sprintf("partition %d ends before offset ", partition),
			"99:0": "partition 99",
		} {
			if got, message := read(path, position); !strings.Contains(message, want) {
				t.Errorf("%s as of %s: %d %s, want %q", path, position, got.status, got.raw, want)
			}
		}
	}
}
