package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A broker spends half of its start loading classes. Java can keep them in an
// archive, written when a broker ends and mapped when the next one starts: that
// saves half of the processor time and a fifth of the memory of each.

// archived returns the distribution with its class archive, made now if this
// java has none yet. Without one brokers only start more slowly, so a failure
// is told and not returned.
func archived(ctx context.Context, d distribution, home string, progress io.Writer) distribution {
	file, err := archiveFile(d, home)
	if err == nil {
		err = makeArchive(ctx, d, file, progress)
	}
	if err != nil {
		fmt.Fprintf(progress, "Brokers will start more slowly: preparing their classes: %v\n", err)
		return d
	}
	d.archive = file
	return d
}

// archiveFile names the archive after the java that can read it.
func archiveFile(d distribution, home string) (string, error) {
	java, err := filepath.EvalSymlinks(d.java)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(java)
	if err != nil {
		return "", err
	}
	return filepath.Join(home, fmt.Sprintf("classes-%d-%d.jsa", info.ModTime().Unix(), info.Size())), nil
}

// makeArchive runs one broker from start to a clean end. A process that dies
// here leaves a file of another name.
func makeArchive(ctx context.Context, d distribution, file string, progress io.Writer) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := lockFile(ctx, file+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err // nil: by the one who had the lock
	}
	fmt.Fprintln(progress, "Preparing Kafka's classes for quick starts (once)")
	part := file + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	d.record = part
	c, err := start(ctx, d, 1, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(c.end(ctx, 0, syscall.SIGTERM), c.Close()); err != nil {
		return err
	}
	return os.Rename(part, file)
}
