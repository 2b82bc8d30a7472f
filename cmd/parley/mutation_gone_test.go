//go:build mutations

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// removals are the requests that removed a contact or an inbox, as far as their
// answers say so.
type removals struct {
	mu   sync.Mutex
	seen map[string]string // kind and id → the request
}

// note takes an answer.
func (r *removals) note(m *mutant, method string, status int) {
	if method != http.MethodDelete || status/100 != 2 {
		return
	}
	path, err := url.PathUnescape(m.path)
	if err != nil {
		return
	}
	segments := strings.Split(strings.TrimSuffix(strings.TrimRight(path, "/"), ".json"), "/")
	if len(segments) < 2 {
		return
	}
	what := strings.Join(segments[len(segments)-2:], "/")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]string{}
	}
	r.seen[what] = fmt.Sprintf("#%d %s %s", m.number, method, m.path)
}

// of gives the request that removed a thing.
func (r *removals) of(what string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	by, ok := r.seen[what]
	return by, ok
}

// became tells whom the contacts of the account were merged into, as its log says.
func (a *tenant) became(t *testing.T) map[int64]int64 {
	t.Helper()
	got := a.api(t, http.MethodGet, "/v1/events?type=contact.merged.v1", nil)
	if got.status != http.StatusOK {
		t.Fatalf("merged contacts: %d %s", got.status, got.raw)
	}
	became := map[int64]int64{}
	for row := range strings.Lines(string(got.raw)) {
		var e struct {
			Data struct {
				Person struct {
					ID int64 `json:"id"`
				} `json:"person"`
				Merged int64 `json:"merged_id"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(row), &e); err != nil || e.Data.Merged == 0 || e.Data.Person.ID == 0 {
			t.Fatalf("a merged contact: %v %.300s", err, row)
		}
		became[e.Data.Merged] = e.Data.Person.ID
	}
	return became
}

// gone tells which of the account's conversations must not be there any more: those
// whose contact, or whom that was merged into, or whose inbox was removed by a
// request that was told so.
func (a *tenant) gone(t *testing.T, r *removals) map[string]bool {
	t.Helper()
	became, gone := a.became(t), map[string]bool{}
	for i, conversation := range a.ids["cx-conversations"] {
		var contact int64
		if _, err := fmt.Sscan(a.ids["cx-contacts"][i], &contact); err != nil {
			t.Fatal(err)
		}
		way := fmt.Sprint(contact)
		for range len(became) {
			next, ok := became[contact]
			if !ok {
				break
			}
			contact = next
			way += fmt.Sprintf(", merged into %d", contact)
		}
		for _, what := range []string{fmt.Sprintf("contacts/%d", contact), fmt.Sprintf("inboxes/%d", a.desk.inbox), "channels/" + a.desk.channel} {
			if by, ok := r.of(what); ok {
				gone[conversation] = true
				t.Logf("conversation %s of contact %s is gone: %s", conversation, way, by)
			}
		}
	}
	return gone
}
