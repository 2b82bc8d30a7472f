package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What the guard costs a request whose handler does nothing.
func BenchmarkGuard(b *testing.B) {
	door := doorFunc{"/custom/channel/webhook/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	}}
	body := strings.Repeat("x", 600)
	run := func(b *testing.B, h http.Handler) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, "/custom/channel/webhook/", strings.NewReader(body))
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	b.Run("bare", func(b *testing.B) {
		mux := http.NewServeMux()
		door.Register(mux)
		run(b, mux)
	})
	b.Run("guarded", func(b *testing.B) {
		s, _ := newServer(b, io.Discard, door)
		run(b, s)
	})
}
