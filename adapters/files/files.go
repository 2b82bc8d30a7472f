// Package files keeps files that the contact centre sends to contacts, and serves
// them to integrations and messengers, which fetch without credentials
// (respond-io.md 4.2): the address is what cannot be guessed.
package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of files.
const (
	MaxSize = 8 << 20 // bytes
	MaxName = 255     // bytes, with the extension
)

// Errors of Keep that the sender of a file can do something about.
var (
	ErrTooLarge = fmt.Errorf("a file must be at most %d bytes", MaxSize)
	ErrEmpty    = errors.New("the file is empty")
	ErrName     = fmt.Errorf("a file name must have 1 to %d bytes of UTF-8, without slashes and control characters", MaxName)
)

// Store keeps files in one folder, which several nodes may share.
type Store struct {
	root *os.Root
	base string // of the URLs handed out
}

// Open opens a folder, making it where it is missing. publicURL is the base of
// the URLs handed out.
func Open(dir, publicURL string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of files: %w", err)
	}
	return &Store{root: root, base: strings.TrimSuffix(publicURL, "/") + "/files/"}, nil
}

// Close frees the folder.
func (s *Store) Close() error { return s.root.Close() }

// Keep stores a file and gives the URL under which it is served, and its size in
// bytes. It is on disk when Keep returns. If the process dies inside, what is
// left has a name that is never served.
func (s *Store) Keep(ctx context.Context, name string, content io.Reader) (address string, size int64, err error) {
	if !validName(name) {
		return "", 0, ErrName
	}
	id := strings.ToLower(rand.Text()) // 130 bits
	if err := s.root.Mkdir(id, 0o700); err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.root.RemoveAll(id))
		}
	}()
	half := filepath.Join(id, ".half")
	if size, err = s.write(ctx, half, content); err != nil {
		return "", 0, err
	}
	if err := s.root.Rename(half, filepath.Join(id, name)); err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	if err := errors.Join(s.sync(id), s.sync(".")); err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	return s.base + id + "/" + url.PathEscape(name), size, nil
}

func (s *Store) write(ctx context.Context, name string, content io.Reader) (int64, error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("keep file: %w", err)
	}
	size, err := io.Copy(f, io.LimitReader(content, MaxSize+1))
	err = errors.Join(err, f.Sync(), f.Close(), ctx.Err())
	switch {
	case err != nil:
		return 0, fmt.Errorf("keep file: %w", err)
	case size > MaxSize:
		return 0, ErrTooLarge
	case size == 0:
		return 0, ErrEmpty
	default:
		return size, nil
	}
}

// sync makes the entries of a folder durable.
func (s *Store) sync(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// validName keeps names within one path segment, and off the names of Keep itself.
func validName(name string) bool {
	if name == "" || len(name) > MaxName || name[0] == '.' || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' })
}

// Register serves the files at /files/{id}/{name}.
func (s *Store) Register(mux *http.ServeMux) {
	mux.Handle("GET /files/{id}/{name}", s) // HEAD comes with GET
}

var idForm = regexp.MustCompile(`^[a-z2-7]{26}$`)

// ServeHTTP serves one file: inline, with its own type, by HEAD and by Range, as
// often as wanted (respond-io.md 4.2). What a browser would run is served in a
// sandbox, so that it runs as nobody.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, name := r.PathValue("id"), r.PathValue("name")
	if !idForm.MatchString(id) || !validName(name) {
		http.NotFound(w, r)
		return
	}
	f, err := s.root.Open(filepath.Join(id, name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			http.NotFound(w, r)
			return
		}
		http.Error(w, "the file cannot be read at the moment", http.StatusServiceUnavailable)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	if kind := mime.TypeByExtension(strings.ToLower(path.Ext(name))); kind != "" {
		h.Set("Content-Type", kind)
	} // otherwise ServeContent looks at the first bytes
	h.Set("Content-Disposition", "inline")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, info.ModTime(), f)
}
