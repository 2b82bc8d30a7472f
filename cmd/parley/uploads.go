package main

import (
	"context"
	"errors"
	"io"

	"github.com/parley-im/parley/adapters/files"
	"github.com/parley-im/parley/domain"
)

// uploads lets the platform API keep files in a folder: two packages that know
// nothing of each other.
type uploads struct{ *files.Store }

// Keep stores a file.
func (u uploads) Keep(ctx context.Context, name string, content io.Reader) (string, int64, error) {
	url, size, err := u.Store.Keep(ctx, name, content)
	switch {
	case errors.Is(err, files.ErrName):
		return "", 0, domain.Errorf(domain.CodeInvalid, "%s", files.ErrName)
	case errors.Is(err, files.ErrEmpty), errors.Is(err, files.ErrTooLarge):
		return "", 0, domain.Errorf(domain.CodeInvalid, "%s", err)
	default:
		return url, size, err
	}
}
