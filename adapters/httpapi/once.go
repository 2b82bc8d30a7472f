package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

// keyHeader names a request, so that repeating it does nothing new.
const keyHeader = "Idempotency-Key"

// replayedHeader marks an answer that was given before.
const replayedHeader = "Idempotency-Replayed"

// maxKey is how long an idempotency key may be, in characters.
const maxKey = 255

// afterwards is how long the end of a claim may take when the caller has gone.
const afterwards = 5 * time.Second

// What a key came to, as a label of metrics.
const (
	outcomeFirst    = "first"
	outcomeReplayed = "replayed"
	outcomeBusy     = "busy"
	outcomeOther    = "other_request"
)

// KeyParam is the idempotency key of a request.
type KeyParam struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"Names the request: repeated with the same key and body it gets the first answer again and does nothing new. At most 255 visible ASCII characters."`
}

// storedAnswer is what is kept of an answer.
type storedAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// once serves a request under a key that its sender chose. Only answers that did
// something (2xx) are kept; after any other the key is free again, since nothing
// was done.
//
// If the process dies while it serves, the claim ends by itself and a repeat is
// served anew. The ids of what it makes are derived from the key, so it makes
// nothing twice. The same holds when the answer cannot be stored.
func (p *platform) once(w http.ResponseWriter, r *http.Request, c caller, key string, body []byte, serve func(http.ResponseWriter)) {
	if !validKey(key) {
		badParameter("header", keyHeader, fmt.Sprintf("must be 1 to %d visible ASCII characters", maxKey)).write(w)
		return
	}
	claim, err := p.Idempotency.Begin(r.Context(), c.Account, key, fingerprint(r, body))
	if err != nil {
		// Without the claim a repeat could do it twice, so nothing is done at all.
		p.told(r.Context(), "idempotency", &domain.Error{
			Code: domain.CodeUnavailable, Message: "Idempotency keys cannot be kept at the moment; repeat the request.", Err: err,
		}).write(w)
		return
	}
	owner := keyOwner(c.Account, key)
	switch claim.State {
	case ClaimAnswered:
		p.metrics.idempotency.WithLabelValues(outcomeReplayed).Inc()
		p.replay(w, r, owner, claim.Answer)
		return
	case ClaimBusy:
		p.metrics.idempotency.WithLabelValues(outcomeBusy).Inc()
		busy := newProblem(http.StatusConflict, domain.CodeConflict, "A request with this Idempotency-Key is being served; repeat it later.")
		busy.headers.Set("Retry-After", retryAfter(0))
		busy.write(w)
		return
	case ClaimOther:
		p.metrics.idempotency.WithLabelValues(outcomeOther).Inc()
		newProblem(http.StatusUnprocessableEntity, domain.CodeInvalid, "This Idempotency-Key was used for another request.").write(w)
		return
	case ClaimTaken:
		p.metrics.idempotency.WithLabelValues(outcomeFirst).Inc()
	}

	answer := &heldAnswer{header: http.Header{}}
	kept := false
	defer func() { //nolint:contextcheck // it outlives a caller who goes
		if !kept {
			p.abandon(r.Context(), c.Account, key, claim.Token)
		}
	}()
	serve(answer)
	if answer.status/100 == 2 {
		kept = true
		p.keep(r.Context(), c.Account, key, claim.Token, owner, answer)
	}
	answer.copyTo(w)
}

// abandon frees a key; its own failure costs only that a repeat comes too early.
func (p *platform) abandon(ctx context.Context, account, key, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if err := p.Idempotency.Abandon(ctx, account, key, token); err != nil {
		p.log.Warn("idempotency.abandon_failed", "account", account, "error", err)
	}
}

// keep stores an answer; its own failure costs only the shorter road of a repeat.
func (p *platform) keep(ctx context.Context, account, key, token, owner string, a *heldAnswer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	stored := storedAnswer{Status: a.status, Header: http.Header{}, Body: a.body.Bytes()}
	for _, name := range []string{"Content-Type", "Location", positionHeader} {
		if v := a.header.Values(name); len(v) > 0 {
			stored.Header[name] = v
		}
	}
	err := func() error {
		text, err := json.Marshal(stored)
		if err != nil {
			return fmt.Errorf("write the answer down: %w", err)
		}
		sealed, err := p.Sealer.Seal(owner, text)
		if err != nil {
			return fmt.Errorf("seal the answer: %w", err)
		}
		return p.Idempotency.Finish(ctx, account, key, token, []byte(sealed))
	}()
	if err != nil {
		p.log.Warn("idempotency.finish_failed", "account", account, "error", err)
	}
}

// replay gives a stored answer again.
func (p *platform) replay(w http.ResponseWriter, r *http.Request, owner string, sealed []byte) {
	var stored storedAnswer
	text, err := p.Sealer.Open(owner, string(sealed))
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	if err != nil {
		p.told(r.Context(), "idempotency", fmt.Errorf("read a stored answer: %w", err)).write(w)
		return
	}
	h := w.Header()
	maps.Copy(h, stored.Header)
	h.Set(replayedHeader, "true")
	w.WriteHeader(stored.Status)
	// An error here is a caller who has gone.
	_, _ = w.Write(stored.Body)
}

// fingerprint tells requests under one key apart.
func fingerprint(r *http.Request, body []byte) []byte {
	h := sha256.New()
	// A hash takes everything.
	_, _ = fmt.Fprintf(h, "%s\n%s\n", r.Method, r.URL.Path)
	_, _ = h.Write(body)
	return h.Sum(nil)
}

func keyOwner(account, key string) string { return "idempotency/" + account + "/" + key }

func validKey(key string) bool {
	if key == "" || len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// heldAnswer holds an answer back until it is stored.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the header to be sent.
func (a *heldAnswer) Header() http.Header { return a.header }

// WriteHeader takes the status.
func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write takes a part of the body.
func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *heldAnswer) copyTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	w.WriteHeader(a.status)
	if a.body.Len() > 0 {
		// An error here is a caller who has gone.
		_, _ = w.Write(a.body.Bytes())
	}
}
