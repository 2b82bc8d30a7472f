package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// sharedRoot holds the databases whose own folder is out of the unprivileged
// user's reach.
const sharedRoot = "/var/lib/parley"

// maxSocketPath is the longest path of a unix socket, in bytes: 108 with the
// closing zero on Linux, 104 elsewhere.
const maxSocketPath = 103

// socketPort only names the socket file; nothing listens on TCP.
const socketPort = "5432"

// account is the user that owns a cluster's files and runs its processes.
// Postgres refuses to run as root.
type account struct {
	uid, gid uint32
	drop     bool // whether we are root and must become this user
}

// credential is nil when our own user runs the server.
func (a account) credential() *syscall.Credential {
	if !a.drop {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// chown gives a path to the account. Without a drop it is ours already.
func (a account) chown(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// place says where a cluster's files are and who owns them.
type place struct {
	dir   string // holds lock, data and, if short enough, run
	owner account
}

func (p place) data() string     { return filepath.Join(p.dir, "data") }
func (p place) initData() string { return filepath.Join(p.dir, "data.init") }
func (p place) lock() string     { return filepath.Join(p.dir, "lock") }

// major returns the major version of the cluster in place, 0 if there is none.
func (p place) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the version of the cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("reading the version of the cluster in %s: %w", p.data(), err)
	}
	return major, nil
}

// choosePlace decides where the cluster asked for in dir lives. An existing
// cluster is never left for a new empty one: dir wins if it has data, then the
// shared folder if that has, and only then the question is asked whether the
// unprivileged user can reach dir.
func choosePlace(ctx context.Context, dir, shared string) (place, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return place{}, fmt.Errorf("resolving %s: %w", dir, err)
	}
	here := place{dir: abs}
	there := place{dir: filepath.Join(shared, pathHash(abs))}

	if os.Geteuid() != 0 {
		here.owner = account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
		owner, found, err := ownerOf(here.data())
		if err != nil {
			return place{}, err
		}
		if found && owner.uid != here.owner.uid {
			return place{}, fmt.Errorf("the database in %s belongs to user id %d and this is user id %d: run as that user or as root", here.data(), owner.uid, here.owner.uid)
		}
		return here, os.MkdirAll(abs, 0o700)
	}

	for _, p := range []place{here, there} {
		owner, found, err := ownerOf(p.data())
		if err != nil {
			return place{}, err
		}
		if !found {
			continue
		}
		if owner.uid == 0 {
			return place{}, fmt.Errorf("the database in %s belongs to root, and Postgres does not run as root: give it to another user (chown -R)", p.data())
		}
		p.owner = owner
		if !reachable(ctx, p.dir, owner) {
			return place{}, fmt.Errorf("the database in %s belongs to user id %d, who cannot enter that folder: allow it with chmod o+x on its parents", p.data(), owner.uid)
		}
		return p, nil
	}

	owner, err := unprivileged()
	if err != nil {
		return place{}, err
	}
	here.owner, there.owner = owner, owner
	// 0711: the owner of the data may pass through, and nobody may list.
	if err := os.MkdirAll(here.dir, 0o711); err != nil {
		return place{}, fmt.Errorf("creating %s: %w", here.dir, err)
	}
	if reachable(ctx, here.dir, owner) {
		return here, nil
	}
	for _, d := range []string{shared, there.dir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return place{}, fmt.Errorf("creating %s: %w", d, err)
		}
	}
	if !reachable(ctx, there.dir, owner) {
		return place{}, fmt.Errorf("user id %d can enter neither %s nor %s: allow it with chmod o+x on the parents of one", owner.uid, here.dir, there.dir)
	}
	return there, nil
}

// pathHash names a folder after an absolute path: the same path, the same name.
func pathHash(abs string) string {
	sum := sha256.Sum256([]byte(abs))
	return hex.EncodeToString(sum[:8])
}

// ownerOf returns the owner of an existing file.
func ownerOf(path string) (account, bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return account{}, false, nil
	}
	if err != nil {
		return account{}, false, fmt.Errorf("looking for the database: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, false, fmt.Errorf("looking for the owner of %s: not known on this system", path)
	}
	return account{uid: stat.Uid, gid: stat.Gid, drop: os.Geteuid() == 0}, true, nil
}

// unprivileged picks the user that root hands a new cluster to. It needs an
// entry in passwd: initdb asks for its own name.
func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody", "daemon"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID != nil || errGID != nil || uid == 0 {
			continue
		}
		return account{uid: uint32(uid), gid: uint32(gid), drop: true}, nil
	}
	return account{}, errors.New("postgres does not run as root, and there is none of the users postgres, nobody and daemon to run it as: run as an ordinary user")
}

// reachable asks the kernel whether the account can enter dir, by starting a
// process there as that user: permissions, ACLs and mounts all count.
func reachable(ctx context.Context, dir string, a account) bool {
	// Cut short it would say no, and the database would go elsewhere.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", ":")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential()}
	return cmd.Run() == nil
}

// socketDir makes the folder of the unix socket: run beside the data, or a
// short one below the temporary folder where that path would be too long.
func (p place) socketDir() (string, error) {
	dir := filepath.Join(p.dir, "run")
	if len(filepath.Join(dir, ".s.PGSQL."+socketPort)) > maxSocketPath {
		dir = filepath.Join("/tmp", "parley-"+pathHash(p.dir))
	}
	if err := p.privateDir(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// privateDir makes dir with mode 0700 for the cluster's user. One that exists
// must be exactly that: below /tmp someone else may have made it first.
func (p place) privateDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		if err := p.owner.chown(dir); err != nil {
			return fmt.Errorf("giving %s to user id %d: %w", dir, p.owner.uid, err)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating %s: %w", dir, err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if stat.Uid == uint32(os.Geteuid()) && p.owner.drop {
		// Ours from a start that died between Mkdir and chown.
		if err := p.owner.chown(dir); err != nil {
			return fmt.Errorf("giving %s to user id %d: %w", dir, p.owner.uid, err)
		}
	} else if stat.Uid != p.owner.uid {
		return fmt.Errorf("%s belongs to user id %d, not to %d", dir, stat.Uid, p.owner.uid)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("closing %s to others: %w", dir, err)
	}
	return nil
}
