//go:build !linux

package embedded

import "os"

// datasync brings a file to disk.
func datasync(f *os.File) error { return f.Sync() }
