package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// BucketConfig says which bucket of which S3-compatible server keeps the files.
type BucketConfig struct {
	Endpoint  string // host, or host:port
	Bucket    string // it must be there
	Region    string // "" = the server's
	AccessKey string
	SecretKey string // never logged
	PublicURL string // base of the URLs handed out
	Plain     bool   // HTTP without TLS
}

// Bucket keeps files on an S3-compatible server. They are served through the
// process, at the same addresses as those of a Store: the server may be one that
// only we can reach, its answers could not be sandboxed, and a signed URL to it
// would show our access key and end.
type Bucket struct {
	client *minio.Client
	bucket string
	base   string // of the URLs handed out
}

// OpenBucket prepares for a bucket, without a call to its server: a server that is
// away keeps nothing else from starting. See Check.
func OpenBucket(cfg BucketConfig) (*Bucket, error) {
	client, err := minio.New(cfg.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: !cfg.Plain, Region: cfg.Region,
	})
	if err != nil {
		return nil, fmt.Errorf("open the bucket of files: %w", err)
	}
	return &Bucket{client: client, bucket: cfg.Bucket, base: baseOf(cfg.PublicURL)}, nil
}

// Check tells whether the bucket can be used: its server answers, knows us and has
// it.
func (b *Bucket) Check(ctx context.Context) error {
	there, err := b.client.BucketExists(ctx, b.bucket)
	if err != nil {
		return fmt.Errorf("look for the bucket of files: %w", err)
	}
	if !there {
		return fmt.Errorf("there is no bucket %s for files", b.bucket)
	}
	return nil
}

// Keep stores a file and gives the URL under which it is served, and its size in
// bytes. The server has acknowledged it when Keep returns. A file is one request,
// so that a process that dies inside leaves nothing.
func (b *Bucket) Keep(ctx context.Context, file File) (link string, size int64, err error) {
	if file, err = file.check(); err != nil {
		return "", 0, err
	}
	content, size, err := measure(file)
	if err != nil {
		return "", 0, err
	}
	id := newID()
	_, err = b.client.PutObject(ctx, b.bucket, key(id, file.Name), content, size, minio.PutObjectOptions{
		ContentType: file.Type, DisableMultipart: true,
	})
	if err != nil {
		return "", 0, fmt.Errorf("keep file: %w", err)
	}
	return address(b.base, id, file.Name), size, nil
}

// measure gives a file's content with its size, which S3 wants to know first. What
// cannot be measured otherwise is read into memory.
func measure(file File) (io.ReadSeeker, int64, error) {
	content, ok := file.Content.(io.ReadSeeker)
	if !ok {
		raw, err := io.ReadAll(io.LimitReader(file.Content, file.Most+1))
		if err != nil {
			return nil, 0, fmt.Errorf("keep file: %w", err)
		}
		content = bytes.NewReader(raw)
	}
	at, err := content.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, fmt.Errorf("keep file: %w", err)
	}
	end, err := content.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, fmt.Errorf("keep file: %w", err)
	}
	if _, err := content.Seek(at, io.SeekStart); err != nil {
		return nil, 0, fmt.Errorf("keep file: %w", err)
	}
	return content, end - at, file.fits(end - at)
}

// key names a file in the bucket. Names are escaped: servers differ in what they
// take.
func key(id, name string) string { return id + "/" + url.PathEscape(name) }

// Register serves the files at /files/{id}/{name}.
func (b *Bucket) Register(mux *http.ServeMux) {
	mux.Handle("GET /files/{id}/{name}", b) // HEAD comes with GET
}

// ServeHTTP serves one file as a Store does.
func (b *Bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, name, ok := asked(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	object, err := b.client.GetObject(r.Context(), b.bucket, key(id, name), minio.GetObjectOptions{})
	if err != nil {
		http.Error(w, "the file cannot be read at the moment", http.StatusServiceUnavailable)
		return
	}
	defer object.Close()
	info, err := object.Stat()
	if failed, isServer := errors.AsType[minio.ErrorResponse](err); isServer && failed.StatusCode == http.StatusNotFound {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "the file cannot be read at the moment", http.StatusServiceUnavailable)
		return
	}
	kind := info.ContentType
	if known := typeOf(name); kind == "" || kind == "application/octet-stream" && known != "" {
		kind = known
	}
	protect(w.Header(), kind)
	http.ServeContent(w, r, name, info.LastModified, object)
}
