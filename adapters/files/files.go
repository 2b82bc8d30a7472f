// Package files keeps files that contacts and the contact centre send each other,
// in a folder (Store) or in a bucket (Bucket), and serves them to integrations and
// messengers, which fetch without credentials (respond-io.md 4.2, channelx.md 9):
// the address is what cannot be guessed.
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
	MaxSize = 8 << 20 // bytes, of a file that does not say otherwise
	MaxName = 255     // bytes, with the extension
	maxType = 255     // bytes of a content type
)

// Errors of Keep that the sender of a file can do something about.
var (
	ErrTooLarge = errors.New("the file is too large")
	ErrEmpty    = errors.New("the file is empty")
	ErrName     = fmt.Errorf("a file name must have 1 to %d bytes of UTF-8, without slashes and control characters", MaxName)
)

// File is what is to be kept.
type File struct {
	Name    string
	Type    string // content type that it is served with; "" = that of the name's extension
	Content io.Reader
	Most    int64 // bytes that it may have; 0 = MaxSize
}

// check bounds what a file says of itself, and fills in what it leaves open.
func (f File) check() (File, error) {
	if !validName(f.Name) {
		return f, ErrName
	}
	if f.Most == 0 {
		f.Most = MaxSize
	}
	if f.Type == "" || len(f.Type) > maxType || strings.ContainsFunc(f.Type, func(r rune) bool { return r < ' ' || r > '~' }) {
		f.Type = typeOf(f.Name)
	}
	return f, nil
}

// fits checks the size of a file that has been read up to one byte over.
func (f File) fits(size int64) error {
	switch {
	case size > f.Most:
		return fmt.Errorf("%w: at most %d bytes", ErrTooLarge, f.Most)
	case size == 0:
		return ErrEmpty
	default:
		return nil
	}
}

// typeOf is the content type of a name, or "".
func typeOf(name string) string { return mime.TypeByExtension(strings.ToLower(path.Ext(name))) }

// newID makes the part of an address that cannot be guessed: 130 bits.
func newID() string { return strings.ToLower(rand.Text()) }

// address is the URL of a file below the base of URLs that are handed out.
func address(base, id, name string) string { return base + id + "/" + url.PathEscape(name) }

// baseOf is where the files of an origin begin.
func baseOf(publicURL string) string { return strings.TrimSuffix(publicURL, "/") + "/files/" }

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
	return &Store{root: root, base: baseOf(publicURL)}, nil
}

// Close frees the folder.
func (s *Store) Close() error { return s.root.Close() }

// typeFile holds the content type of the file beside it, where the extension does
// not tell it.
const typeFile = ".type"

// Keep stores a file and gives the URL under which it is served, and its size in
// bytes. It is on disk when Keep returns. If the process dies inside, what is
// left has a name that is never served.
func (s *Store) Keep(ctx context.Context, file File) (link string, size int64, err error) {
	if file, err = file.check(); err != nil {
		return "", 0, err
	}
	id := newID()
	if err := s.root.Mkdir(id, 0o700); err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.root.RemoveAll(id))
		}
	}()
	if file.Type != typeOf(file.Name) {
		if _, err := s.write(ctx, filepath.Join(id, typeFile), strings.NewReader(file.Type), maxType); err != nil {
			return "", 0, err
		}
	}
	half := filepath.Join(id, ".half")
	if size, err = s.write(ctx, half, file.Content, file.Most); err != nil {
		return "", 0, err
	}
	if err := file.fits(size); err != nil {
		return "", 0, err
	}
	if err := s.root.Rename(half, filepath.Join(id, file.Name)); err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	if err := errors.Join(s.sync(id), s.sync(".")); err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	return address(s.base, id, file.Name), size, nil
}

// write stores content up to one byte over most, and tells how much there was.
func (s *Store) write(ctx context.Context, name string, content io.Reader, most int64) (int64, error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("keep file: %w", err)
	}
	size, err := io.Copy(f, io.LimitReader(content, most+1))
	if err = errors.Join(err, f.Sync(), f.Close(), ctx.Err()); err != nil {
		return 0, fmt.Errorf("keep file: %w", err)
	}
	return size, nil
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

// asked reads the path of a request; false when no file can have it.
func asked(r *http.Request) (id, name string, ok bool) {
	id, name = r.PathValue("id"), r.PathValue("name")
	return id, name, idForm.MatchString(id) && validName(name)
}

// ServeHTTP serves one file: inline, with its own type, by HEAD and by Range, as
// often as wanted (respond-io.md 4.2). What a browser would run is served in a
// sandbox, so that it runs as nobody.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, name, ok := asked(r)
	if !ok {
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
	kind := typeOf(name)
	if raw, err := s.root.ReadFile(filepath.Join(id, typeFile)); err == nil {
		kind = string(raw)
	}
	protect(w.Header(), kind)
	http.ServeContent(w, r, name, info.ModTime(), f)
}

// protect says how a file is to be shown: inline, as what it was declared to be
// and nothing else, and in a sandbox. Without a type its first bytes tell one.
func protect(h http.Header, kind string) {
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	h.Set("Content-Disposition", "inline")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
}
