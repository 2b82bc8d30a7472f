package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lockFile is locked while a process has the directory open.
	lockFile = "parley.lock"
	// lockPatience is how long a start waits for the lock: that of a process killed
	// a moment ago can take that long to go.
	lockPatience = 2 * time.Second
)

// lockDir takes the directory's lock.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(lockPatience); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock: %w", err)
		case time.Now().After(end):
			f.Close()
			return nil, ErrLocked
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
	}
}

// ErrDamaged means that the directory holds records, but not the list of topics
// that they belong to. The broker would start with an empty log beside them.
var ErrDamaged = errors.New("directory is damaged")

// repair prepares the directory for the broker. If the process dies here, the next
// start repairs again.
func repair(dir string, log *slog.Logger) error {
	if err := whole(dir); err != nil {
		return err
	}
	// Members of groups of the last run: they were in this process, they are gone.
	if err := os.Remove(filepath.Join(dir, "session_state.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, name := range []string{"groups.log", "pids.log"} {
		cut, err := truncateTorn(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("repair %s: %w", name, err)
		}
		if cut > 0 {
			log.Warn("embedded log: torn end of file removed", "file", name, "bytes", cut)
		}
	}
	return nil
}

// whole checks that the files are there without which the broker would not look for
// its records. They are written before the first record.
func whole(dir string) error {
	records, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if errors.Is(err, os.ErrNotExist) || err == nil && len(records) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"meta.json", "topics.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return nil
}

// truncateTorn removes what follows the last whole entry of a log of framed
// entries, and returns how many bytes that was. The broker ignores a torn tail when
// it loads the file, but then appends behind it, where the next start does not find
// it.
func truncateTorn(path string) (cut int64, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	whole := wholeEntries(data)
	if whole == len(data) {
		return 0, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(f.Truncate(int64(whole)), f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	return int64(len(data) - whole), nil
}

// wholeEntries returns how many leading bytes are whole entries: a little-endian
// length, the CRC-32C of what follows, and that many bytes, of which the first two
// are a version.
func wholeEntries(data []byte) int {
	const header, version = 8, 2
	table := crc32.MakeTable(crc32.Castagnoli)
	pos := 0
	for len(data)-pos >= header+version {
		length := int(binary.LittleEndian.Uint32(data[pos:]))
		sum := binary.LittleEndian.Uint32(data[pos+4:])
		if length < version || length > len(data)-pos-header {
			break
		}
		if crc32.Checksum(data[pos+header:pos+header+length], table) != sum {
			break
		}
		pos += header + length
	}
	return pos
}
