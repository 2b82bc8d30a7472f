package files_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parley-im/parley/adapters/files"
)

// Whatever name a file is given, it is refused or served under its URL byte for
// byte, and lies in a folder of its own inside the store's.
func FuzzName(f *testing.F) {
	for _, seed := range []string{"invoice-88.pdf", "..", ".", ".half", "a/b", `a\b`, "a\x00b", "%2e%2e", "a%2fb", "\xff", "ünïcödé 😀.png", strings.Repeat("x", 255), strings.Repeat("x", 256), "a?b#c", "", " ", "con:stream"} {
		f.Add(seed)
	}
	root := f.TempDir()
	store, err := files.Open(root, "http://parley.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	mux := http.NewServeMux()
	store.Register(mux)
	f.Fuzz(func(t *testing.T, name string) {
		address, _, err := store.Keep(t.Context(), files.File{Name: name, Content: strings.NewReader("content")})
		left, _ := os.ReadDir(root)
		if err != nil {
			if !errors.Is(err, files.ErrName) || len(left) != 0 {
				t.Fatalf("%q: %v, and %d folders", name, err, len(left))
			}
			return
		}
		defer os.RemoveAll(filepath.Join(root, left[0].Name()))
		u, err := url.Parse(address)
		if err != nil || !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00") || len(left) != 1 {
			t.Fatalf("%q is at %s: %v, %d folders", name, address, err, len(left))
		}
		if inside, err := os.ReadDir(filepath.Join(root, left[0].Name())); err != nil || len(inside) != 1 || inside[0].Name() != name {
			t.Fatalf("%q lies as %v (%v)", name, inside, err)
		}
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, u.String(), nil))
		if rec.Code != http.StatusOK || rec.Body.String() != "content" {
			t.Fatalf("%s: %d %s", address, rec.Code, rec.Body)
		}
	})
}
