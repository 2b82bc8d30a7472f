package files_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/parley-im/parley/adapters/files"
)

func open(t *testing.T) (*files.Store, *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	store, err := files.Open(t.TempDir(), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	store.Register(mux)
	return store, srv
}

// fetched is an answer, read to its end.
type fetched struct {
	status int
	header http.Header
	length int64
	body   string
}

func fetch(t *testing.T, method, url, byteRange string) fetched {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength, body: string(raw)}
}

func TestServedAsMessengersFetch(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	address, size, err := store.Keep(t.Context(), files.File{Name: "invoice 88.pdf", Content: strings.NewReader("%PDF-1.7 body")})
	if err != nil || size != 13 {
		t.Fatalf("Keep: %d bytes, %v", size, err)
	}
	if !strings.HasSuffix(address, "/invoice%2088.pdf") {
		t.Errorf("the address %s does not keep the name", address)
	}
	for range 2 {
		if got := fetch(t, http.MethodGet, address, ""); got.status != http.StatusOK || got.body != "%PDF-1.7 body" ||
			got.header.Get("Content-Type") != "application/pdf" || got.header.Get("Content-Disposition") != "inline" {
			t.Errorf("GET: %+v", got)
		}
	}
	if got := fetch(t, http.MethodHead, address, ""); got.status != http.StatusOK || got.length != 13 || got.body != "" {
		t.Errorf("HEAD: %+v", got)
	}
	if got := fetch(t, http.MethodGet, address, "bytes=0-3"); got.status != http.StatusPartialContent || got.body != "%PDF" {
		t.Errorf("Range: %+v", got)
	}
}

func TestScriptsRunAsNobody(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	address, _, err := store.Keep(t.Context(), files.File{Name: "page.html", Content: strings.NewReader("<script>alert(1)</script>")})
	if err != nil {
		t.Fatal(err)
	}
	header := fetch(t, http.MethodGet, address, "").header
	if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox;") || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a page is served with %v", header)
	}
}

func TestNamesStayInside(t *testing.T) {
	t.Parallel()
	store, srv := open(t)
	for _, name := range []string{"", ".", "..", ".half", "a/b", `a\b`, "a\x00b", "a\nb", strings.Repeat("n", 256), "\xff"} {
		if _, _, err := store.Keep(t.Context(), files.File{Name: name, Content: strings.NewReader("x")}); !errors.Is(err, files.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, path := range []string{"/files/..%2f..%2fetc/passwd", "/files/aaaaaaaaaaaaaaaaaaaaaaaaaa/..%2fx", "/files/aaaaaaaaaaaaaaaaaaaaaaaaaa/none"} {
		if got := fetch(t, http.MethodGet, srv.URL+path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// endless never ends; a store must.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestNothingIsLeftOfARefusedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := files.Open(dir, "http://example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, _, err := store.Keep(t.Context(), files.File{Name: "big.bin", Content: endless{}}); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("endless file: %v", err)
	}
	if _, _, err := store.Keep(t.Context(), files.File{Name: "empty.txt", Content: bytes.NewReader(nil)}); !errors.Is(err, files.ErrEmpty) {
		t.Errorf("empty file: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDeclaredTypeIsServed(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	for name, want := range map[string]struct{ declared, served string }{
		"voice":    {"audio/ogg", "audio/ogg"},
		"a.png":    {"image/png", "image/png"},
		"b.png":    {"", "image/png"},
		"c.txt":    {"text/plain", "text/plain"},
		"split.js": {"text/plain\r\nX: y", "text/javascript; charset=utf-8"},
	} {
		address, _, err := store.Keep(t.Context(), files.File{Name: name, Type: want.declared, Content: strings.NewReader("content")})
		if err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, http.MethodGet, address, ""); got.header.Get("Content-Type") != want.served || got.body != "content" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSizeIsTheFilesOwn(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	large := strings.Repeat("x", files.MaxSize+1)
	if _, _, err := store.Keep(t.Context(), files.File{Name: "a", Content: strings.NewReader(large)}); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("above the default: %v", err)
	}
	if _, size, err := store.Keep(t.Context(), files.File{Name: "a", Content: strings.NewReader(large), Most: files.MaxSize + 1}); err != nil || size != files.MaxSize+1 {
		t.Errorf("at its own bound: %d, %v", size, err)
	}
}
