package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse says that another process runs the cluster of this folder.
var ErrInUse = errors.New("the database folder is in use")

// lockPatience is how long a start waits for the folder. After kill -9 the
// kernel frees a dead owner's lock only a moment later.
const lockPatience = 2 * time.Second

// dirLock keeps a folder for one supervisor. The kernel frees it when the
// process ends in whatever way; the file stays.
type dirLock struct{ file *os.File }

// lockDir takes the lock of a place and writes our pid into it.
func lockDir(ctx context.Context, p place) (*dirLock, error) {
	file, err := os.OpenFile(p.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of %s: %w", p.dir, err)
	}
	// The folder's owner may be the one who starts it next time.
	if err := p.owner.chown(p.lock()); err != nil {
		return nil, errors.Join(fmt.Errorf("giving the lock of %s to user id %d: %w", p.dir, p.owner.uid, err), file.Close())
	}
	if err := flock(ctx, file); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s is run by %s", ErrInUse, p.dir, holder(file))
		} else {
			err = fmt.Errorf("locking %s: %w", p.dir, err)
		}
		return nil, errors.Join(err, file.Close())
	}
	l := &dirLock{file: file}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the lock of %s: %w", p.dir, err), l.release())
	}
	return l, nil
}

// flock tries for lockPatience; EWOULDBLOCK means that another process has it.
func flock(ctx context.Context, file *os.File) error {
	deadline := time.NewTimer(lockPatience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return err
		case <-tick.C:
		}
	}
}

// sign leaves our pid for whoever is refused.
func (l *dirLock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func (l *dirLock) release() error { return l.file.Close() }

// holder names the process that signed the lock.
func holder(file *os.File) string {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0) // io.EOF: shorter than 20 bytes
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return "process " + pid
	}
	return "another process"
}
