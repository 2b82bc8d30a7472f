package httpapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Ensure that a stop waits for requests and not for connections that somebody has
// opened and never used, as clients do that dial ahead.
func TestStopWithSilentConnections(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, io.Discard, doorFunc{"/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") }})
	url, stop := serve(t, s)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// An answer on a later connection tells that the first one was taken.
	res, err := http.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection was left with %v", err)
	}
}
