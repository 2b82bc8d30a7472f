package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/parley-im/parley/adapters/files"
	"github.com/parley-im/parley/domain"
)

// fileStore keeps files, and serves them.
type fileStore interface {
	Keep(ctx context.Context, file files.File) (url string, size int64, err error)
	Register(mux *http.ServeMux)
}

// filesOf opens what keeps the files of a node: a bucket, a folder, or nothing. A
// bucket that cannot be used at the moment is logged and does not hold up the start:
// only what brings a file needs it.
func (n *node) filesOf(ctx context.Context) (fileStore, error) {
	if s3 := n.cfg.FilesS3; s3.Endpoint != "" {
		bucket, err := files.OpenBucket(files.BucketConfig{
			Endpoint: s3.Endpoint, Bucket: s3.Bucket, Region: s3.Region, AccessKey: s3.AccessKey, SecretKey: s3.SecretKey,
			PublicURL: n.cfg.publicURL, Plain: !s3.UseTLS,
		})
		if err != nil {
			return nil, err
		}
		asked, cancel := context.WithTimeout(ctx, bucketTimeout)
		defer cancel()
		if err := bucket.Check(asked); err != nil {
			n.cfg.logger.ErrorContext(ctx, "files.unavailable", "endpoint", s3.Endpoint, "bucket", s3.Bucket, "error", err)
		}
		return bucket, nil
	}
	if n.cfg.FilesDir == "" {
		return nil, nil //nolint:nilnil // no files is a way to run
	}
	store, err := files.Open(n.cfg.FilesDir, n.cfg.publicURL)
	if err != nil {
		return nil, err
	}
	n.onStop(func(context.Context) error { return store.Close() })
	return store, nil
}

// bucketTimeout bounds the look at a bucket when a node starts.
const bucketTimeout = 5 * time.Second

// keepFile stores a file, and says what the sender can do about a refusal.
func keepFile(ctx context.Context, store fileStore, file files.File) (string, int64, error) {
	url, size, err := store.Keep(ctx, file)
	switch {
	case errors.Is(err, files.ErrName):
		return "", 0, domain.Errorf(domain.CodeInvalid, "%s", files.ErrName)
	case errors.Is(err, files.ErrEmpty), errors.Is(err, files.ErrTooLarge):
		return "", 0, domain.Errorf(domain.CodeInvalid, "%s", err)
	default:
		return url, size, err
	}
}

// uploads lets the platform API keep files: two packages that know nothing of
// each other.
type uploads struct{ store fileStore }

// Keep stores a file of at most files.MaxSize.
func (u uploads) Keep(ctx context.Context, name string, content io.Reader) (string, int64, error) {
	return keepFile(ctx, u.store, files.File{Name: name, Content: content})
}

// attachments let the door of ChannelX keep files.
type attachments struct {
	store fileStore
	most  int64 // bytes of one
}

// Keep stores a file of at most what the node allows.
func (a attachments) Keep(ctx context.Context, name, contentType string, content io.Reader) (string, int64, error) {
	return keepFile(ctx, a.store, files.File{Name: name, Type: contentType, Content: content, Most: a.most})
}
