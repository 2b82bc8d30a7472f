package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Ensure that a read that ends because its caller has gone is not told, counted or
// logged as a fault of ours.
func TestCallerGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(func() { w.readErr = fmt.Errorf("list contacts: %w", context.Canceled) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/contacts", nil)
	r.Header.Set("Authorization", "Bearer "+adminToken)
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	if strings.Contains(w.logs.String(), `"ERROR"`) {
		t.Errorf("logged: %s", w.logs)
	}
}
