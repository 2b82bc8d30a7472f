package embedded

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync brings a file's data and size to disk, but not its times.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
