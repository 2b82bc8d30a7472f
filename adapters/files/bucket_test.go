//go:build s3

package files_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/adapters/files"
	"github.com/parley-im/parley/adapters/files/s3test"
)

// openBucket gives the bucket of a server, and what serves its files.
func openBucket(t *testing.T, endpoint, bucket string) (*files.Bucket, *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	b, err := files.OpenBucket(files.BucketConfig{
		Endpoint: endpoint, Bucket: bucket, AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey, PublicURL: srv.URL, Plain: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Register(mux)
	return b, srv
}

func TestBucket(t *testing.T) {
	t.Parallel()
	endpoint := s3test.Server(t)
	store, srv := openBucket(t, endpoint, s3test.Bucket)

	t.Run("is there", func(t *testing.T) {
		t.Parallel()
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
		none, _ := openBucket(t, endpoint, "no-such-bucket")
		if err := none.Check(t.Context()); err == nil {
			t.Error("a bucket that is not there passes")
		}
	})

	t.Run("serves as messengers fetch", func(t *testing.T) {
		t.Parallel()
		address, size, err := store.Keep(t.Context(), files.File{Name: "invoice 88.pdf", Content: strings.NewReader("%PDF-1.7 body")})
		if err != nil || size != 13 {
			t.Fatalf("Keep: %d bytes, %v", size, err)
		}
		if !strings.HasPrefix(address, srv.URL+"/files/") || !strings.HasSuffix(address, "/invoice%2088.pdf") {
			t.Errorf("the address %s is not ours or does not keep the name", address)
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
		if got := fetch(t, http.MethodGet, address, "bytes=5-7"); got.status != http.StatusPartialContent || got.body != "1.7" {
			t.Errorf("Range: %+v", got)
		}
	})

	t.Run("keeps the declared type, in a sandbox", func(t *testing.T) {
		t.Parallel()
		address, _, err := store.Keep(t.Context(), files.File{Name: "voice", Type: "audio/ogg", Content: strings.NewReader("OggS")})
		if err != nil {
			t.Fatal(err)
		}
		header := fetch(t, http.MethodGet, address, "").header
		if header.Get("Content-Type") != "audio/ogg" || header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(header.Get("Content-Security-Policy"), "sandbox;") {
			t.Errorf("served with %v", header)
		}
	})

	t.Run("large, odd names, unmeasured", func(t *testing.T) {
		t.Parallel()
		content := strings.Repeat("0123456789abcdef", 20<<16) // 20 MiB
		for _, name := range []string{"Zpráva č. 1 (konečná).txt", "a+b&c=d;e.txt", "50% off?.txt", "con:stream"} {
			// Without Seek: what comes from a pipe has no size yet.
			address, size, err := store.Keep(t.Context(), files.File{Name: name, Content: io.MultiReader(strings.NewReader(content)), Most: 40 << 20})
			if err != nil || size != int64(len(content)) {
				t.Fatalf("%s: %d bytes, %v", name, size, err)
			}
			if got := fetch(t, http.MethodGet, address, ""); got.status != http.StatusOK || got.body != content {
				t.Errorf("%s: %d, %d bytes", name, got.status, len(got.body))
			}
		}
	})

	t.Run("refuses", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string]struct {
			file files.File
			err  error
		}{
			"too large":        {files.File{Name: "a", Content: strings.NewReader("123456"), Most: 5}, files.ErrTooLarge},
			"endless":          {files.File{Name: "a", Content: endless{}}, files.ErrTooLarge},
			"empty":            {files.File{Name: "a", Content: strings.NewReader("")}, files.ErrEmpty},
			"name":             {files.File{Name: "../a", Content: strings.NewReader("x")}, files.ErrName},
			"exactly the most": {files.File{Name: "a", Content: strings.NewReader("12345"), Most: 5}, nil},
		} {
			if _, _, err := store.Keep(t.Context(), want.file); !errors.Is(err, want.err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, path := range []string{"/files/aaaaaaaaaaaaaaaaaaaaaaaaaa/none", "/files/..%2f..%2fetc/passwd"} {
			if got := fetch(t, http.MethodGet, srv.URL+path, ""); got.status != http.StatusNotFound {
				t.Errorf("%s: %d", path, got.status)
			}
		}
	})
}

func TestBucketThatIsAway(t *testing.T) {
	t.Parallel()
	store, _ := openBucket(t, s3test.Free(t), s3test.Bucket)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, _, err := store.Keep(ctx, files.File{Name: "a", Content: strings.NewReader("x")}); err == nil {
		t.Error("kept on a server that is not there")
	}
	if err := store.Check(ctx); err == nil {
		t.Error("a server that is not there passes")
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/files/x/a", nil)
	req.SetPathValue("id", strings.Repeat("a", 26))
	req.SetPathValue("name", "a")
	rec := httptest.NewRecorder()
	store.ServeHTTP(rec, req)
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("a file of a server that is not there: %d", rec.Code)
	}
}
