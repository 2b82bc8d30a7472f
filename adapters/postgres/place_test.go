package postgres

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Ensure that root's cluster belongs to and runs as somebody else. The suite
// runs as an ordinary user too, where the server is simply ours.
func TestStartCluster_owner(t *testing.T) {
	t.Parallel()
	c := mustStart(t, openDir(t))
	owner, found, err := ownerOf(c.place.data())
	if err != nil || !found {
		t.Fatal(found, err)
	}
	process, _, err := ownerOf(filepath.Join("/proc", strconv.Itoa(c.server.pid)))
	if err != nil {
		t.Fatal(err)
	}
	if process.uid != owner.uid {
		t.Errorf("files of user %d, process of user %d", owner.uid, process.uid)
	}
	if os.Geteuid() == 0 && owner.uid == 0 {
		t.Error("the server runs as root")
	}
	if os.Geteuid() != 0 && owner.uid != uint32(os.Geteuid()) {
		t.Errorf("the server runs as user %d", owner.uid)
	}
}

// Ensure that an ordinary user's cluster can be started by that user, then by
// root without changing its owner, and by the user again.
func TestStartCluster_ordinaryUserThenRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		mustStart(t, openDir(t)) // all there is to see without root
		return
	}
	dir := openDir(t)
	user, err := unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := user.chown(dir); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(filepath.Dir(dir), "child")
	copyFile(t, os.Args[0], binary)

	for range 2 {
		c := startChild(t, binary, dir, user.credential())
		c.readRows(t, 1)
		if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		c.drain(0)
		if err := c.cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		root := mustStart(t, dir)
		if root.place.owner.uid != user.uid {
			t.Errorf("root runs it as user %d, its owner is %d", root.place.owner.uid, user.uid)
		}
		mustStop(t, root)
	}
}

// Ensure that root's database goes where its user can reach it, stays there,
// and that the caller can tell.
func TestStartCluster_unreachable(t *testing.T) {
	t.Parallel()
	shared := filepath.Join(filepath.Dir(openDir(t)), "shared")
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "pg")
	var said strings.Builder
	c, err := startCluster(t.Context(), ClusterConfig{Dir: dir, Settings: quick(), Progress: &said}, shared)
	if err != nil {
		t.Fatal(err)
	}
	mustStop(t, c)
	if os.Geteuid() != 0 {
		if c.Dir() != dir {
			t.Errorf("an ordinary user's files are in %s", c.Dir())
		}
		return
	}
	if filepath.Dir(c.Dir()) != shared {
		t.Errorf("files in %s", c.Dir())
	}
	if !strings.Contains(said.String(), c.Dir()) {
		t.Errorf("progress does not tell: %q", said.String())
	}
	// Reachable by now, the database is still where it was made.
	if err := os.Chmod(closed, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := choosePlace(t.Context(), dir, shared)
	if err != nil || p.dir != c.Dir() {
		t.Errorf("now in %s (%v), was in %s", p.dir, err, c.Dir())
	}
	if other, err := choosePlace(t.Context(), filepath.Join(closed, "other"), shared); err != nil || other.dir == p.dir {
		t.Errorf("another folder's database: %s, %v", other.dir, err)
	}
}

// Ensure that a socket folder that somebody else prepared is not used.
func TestPrivateDir_notOurs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	p := place{dir: filepath.Dir(dir), owner: account{uid: uint32(os.Geteuid()) + 1, gid: 1}}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := p.privateDir(dir); err == nil {
		t.Error("a folder of another user was taken")
	}
	link := filepath.Join(filepath.Dir(dir), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	p.owner.uid = uint32(os.Geteuid())
	if err := p.privateDir(link); err == nil {
		t.Error("a link was taken for a folder")
	}
	if err := p.privateDir(dir); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("left open: %v, %v", info.Mode(), err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
