package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// mayMount tells why a file system cannot be mounted here.
func mayMount() error {
	if os.Geteuid() != 0 {
		return errors.New("it mounts a file system, which takes root")
	}
	if err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", os.TempDir()).Run(); err != nil { //nolint:noctx // ends by itself
		return errors.New("it mounts a file system, which is not allowed here")
	}
	return nil
}

// disk is a file system in a file.
type disk struct{ image, at string }

func (d *disk) make(ctx context.Context) error {
	f, err := os.Create(d.image)
	if err == nil {
		err = errors.Join(f.Truncate(2<<30), f.Close()) // it is sparse
	}
	if err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	if err := command(ctx, "mkfs.ext4", "-q", "-F", d.image); err != nil {
		return err
	}
	if err := os.MkdirAll(d.at, 0o711); err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	return d.mount(ctx)
}

func (d *disk) mount(ctx context.Context) error {
	if err := command(ctx, "mount", "-o", "loop", d.image, d.at); err != nil {
		return err
	}
	return os.Chmod(d.at, 0o711)
}

// unmount waits until nobody uses the disk any more.
func (d *disk) unmount(ctx context.Context) error { return unmount(ctx, d.at) }

// What ext4's ioctl to shut down takes: its number, and that not even the journal
// is written any more.
const (
	shutDown   = 0x8004587d
	noLogFlush = 2
)

// cut stops the file system dead. From now on every write to it fails, and nothing
// of what is in memory alone gets to the disk any more.
func (d *disk) cut() error {
	f, err := os.Open(d.at)
	if err != nil {
		return fmt.Errorf("cut a disk: %w", err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutDown, noLogFlush); err != nil {
		return fmt.Errorf("cut a disk: %w", err)
	}
	return nil
}

// memory is a small file system in memory.
type memory struct{ at string }

func (m *memory) make(ctx context.Context, size int) error {
	if err := os.MkdirAll(m.at, 0o711); err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	return command(ctx, "mount", "-t", "tmpfs", "-o", "size="+strconv.Itoa(size), "tmpfs", m.at)
}

// leave sizes it so that so many bytes are free.
func (m *memory) leave(ctx context.Context, free int) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(m.at, &fs); err != nil {
		return fmt.Errorf("measure a disk: %w", err)
	}
	used := int(fs.Blocks-fs.Bfree) * int(fs.Bsize)
	return command(ctx, "mount", "-o", "remount,size="+strconv.Itoa(used+free), m.at)
}

func (m *memory) unmount(ctx context.Context) error { return unmount(ctx, m.at) }

func unmount(ctx context.Context, at string) error {
	var err error
	return errors.Join(until(ctx, 20*time.Second, 50*time.Millisecond, "unmount", func() (bool, error) {
		err = command(ctx, "umount", at)
		return err == nil, nil
	}), err)
}

// command runs a program of the system.
func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
