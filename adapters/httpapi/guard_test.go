package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// roomyDoor takes large bodies at /large, and small ones elsewhere; its requests at
// /lasting have no end in sight.
type roomyDoor struct{ doorFunc }

func (roomyDoor) MaxBody(r *http.Request) int64 {
	if r.URL.Path == "/large" {
		return 3000
	}
	return 10 // less than the server's bound: it does not count
}

func (roomyDoor) Lasts(r *http.Request) bool { return r.URL.Path == "/lasting" }

// Ensure that a door may take larger bodies than the server's in some of its
// requests, with the time that they need, and that no other request may.
func TestRoomyDoor(t *testing.T) {
	t.Parallel()
	read := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}
	s, _ := newServer(t, io.Discard, roomyDoor{doorFunc{"/", read}}, doorFunc{"/other/", read})
	s.guard.maxBody = 1000
	url, _ := serve(t, s)
	for _, c := range []struct {
		path         string
		size, status int
	}{
		{"/large", 3000, 200}, {"/large", 3001, 413}, {"/small", 1000, 200}, {"/small", 1001, 413}, {"/other/large", 1001, 413}, {"//large", 3000, 200},
	} {
		res, err := http.Post(url+c.path, "text/plain", bytes.NewReader(make([]byte, c.size)))
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != c.status {
			t.Errorf("%d bytes to %s: %d, want %d (%v)", c.size, c.path, res.StatusCode, c.status, err)
		}
	}
}

// Ensure that a large body has as much more time to come in as it may be larger,
// and its request as much longer to be served; other requests have not.
func TestRoomyDoorHasTime(t *testing.T) {
	t.Parallel()
	const pace = time.Minute
	within := func(t *testing.T, left, want time.Duration) {
		t.Helper()
		if left > want || left < want-10*time.Second {
			t.Errorf("%s are left, want %s", left, want)
		}
	}
	left := make(chan time.Duration, 1)
	s, _ := newServer(t, io.Discard, roomyDoor{doorFunc{"/", func(_ http.ResponseWriter, r *http.Request) {
		if deadline, ok := r.Context().Deadline(); ok {
			left <- time.Until(deadline)
			return
		}
		left <- 0
	}}})
	s.guard.maxBody, s.guard.bodyTimeout = 1000, pace
	for path, want := range map[string]time.Duration{
		"/large": requestTimeout + 2*pace, "/small": requestTimeout, "/lasting": 0,
	} {
		r, err := http.NewRequest(http.MethodPost, path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		s.ServeHTTP(blank{}, r)
		within(t, <-left, want)
	}
	s.guard.bodyTimeout = mostBodyTimeout / 2
	r, err := http.NewRequest(http.MethodPost, "/large", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(blank{}, r)
	within(t, <-left, requestTimeout+mostBodyTimeout/2) // however large it may be
}

// blank is a writer that nobody reads.
type blank struct{}

func (blank) Header() http.Header         { return http.Header{} }
func (blank) Write(p []byte) (int, error) { return len(p), nil }
func (blank) WriteHeader(int)             {}
