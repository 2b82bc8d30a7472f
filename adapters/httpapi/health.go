package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// checkTimeout bounds all checks of one look at /readyz together.
const checkTimeout = 2 * time.Second

// Check is one part that has to work for this node to be of use. Func gives nil
// when it does and says what is wrong otherwise; it ends with its context.
type Check struct {
	Name string
	Func func(ctx context.Context) error
}

// alive answers as long as the process can answer.
func alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// An error here is a caller who has gone.
	_, _ = io.WriteString(w, "ok\n")
}

// readiness asks every part.
type readiness struct {
	checks   []Check
	stopping *atomic.Bool
}

type partState struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

type nodeState struct {
	Ready bool                 `json:"ready"`
	Parts map[string]partState `json:"parts"`
}

// ServeHTTP answers 200 when all parts work and 503 with their reasons otherwise.
func (rd *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	states := make([]partState, len(rd.checks))
	var all sync.WaitGroup
	for i, c := range rd.checks {
		all.Go(func() {
			states[i].Ready = true
			if err := c.Func(ctx); err != nil {
				states[i] = partState{Reason: err.Error()}
			}
		})
	}
	all.Wait()

	body := nodeState{Ready: true, Parts: map[string]partState{}}
	for i, c := range rd.checks {
		body.Parts[c.Name] = states[i]
		body.Ready = body.Ready && states[i].Ready
	}
	if rd.stopping.Load() {
		body.Ready = false
		body.Parts["server"] = partState{Reason: "stopping"}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !body.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // an error here is a caller who has gone
}
