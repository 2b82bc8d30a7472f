package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Sync returns nil when the records of the partition that were acknowledged before
// the call are on disk. baseOffset is the offset of the first record the caller
// cares about; it is named in errors only, since a sync covers the whole partition.
// Callers of one partition that arrive while the disk is busy share one sync.
//
// After a failed sync the kernel may forget which pages were not written, so the
// partition fails for good until the process is started again.
func (l *Log) Sync(ctx context.Context, topic string, partition int, baseOffset int64) error {
	p, err := l.partition(topic, partition)
	if err == nil {
		err = p.sync(ctx)
	}
	if err != nil {
		return fmt.Errorf("sync %s/%d from %d: %w", topic, partition, baseOffset, err)
	}
	return nil
}

// partition returns the state of a partition's directory.
func (l *Log) partition(topic string, id int) (*partition, error) {
	dir := filepath.Join(l.dir, "partitions", fmt.Sprintf("%s-%d", url.PathEscape(topic), id))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("embedded log is closed")
	}
	p, ok := l.partitions[dir]
	if !ok {
		p = &partition{root: l.dir, dir: dir, base: -1, turn: make(chan struct{}, 1)}
		l.partitions[dir] = p
	}
	return p, nil
}

// partition is the barrier of one partition.
//
// A caller takes a ticket and waits for its turn. Whoever has the turn syncs for
// all tickets taken so far: their records were acknowledged, so written to a file
// in this directory, before their tickets were taken.
type partition struct {
	root, dir string
	turn      chan struct{} // holds a token while somebody syncs

	mu     sync.Mutex // guards issued
	issued uint64     // tickets taken

	// Owned by whoever has the turn.
	synced  uint64   // tickets whose records are on disk
	flushes int      // rounds so far
	active  *os.File // the newest segment
	base    int64    // its base offset, -1 before the first sync
	renamed bool     // directories have names that are not on disk yet
	failed  error    // of a sync: what is on disk is not known any more
}

func (p *partition) sync(ctx context.Context) error {
	ticket := p.ticket(1)
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.failed != nil {
		return p.failed
	}
	if p.synced >= ticket {
		return nil
	}
	upTo := p.ticket(0)
	if err := p.flush(); err != nil {
		return err
	}
	p.synced, p.flushes = upTo, p.flushes+1
	return nil
}

// ticket takes n tickets and returns the last one taken.
func (p *partition) ticket(n uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issued += n
	return p.issued
}

// flush brings the active segment to disk, and every segment that appeared since
// the last flush. The broker does not sync a segment that it leaves, so the old one
// comes first. Our own descriptor serves: the kernel flushes the file, whoever
// wrote it. Index files are left out: the broker rebuilds them.
func (p *partition) flush() error {
	bases, err := p.newSegments()
	if err != nil {
		return err
	}
	if p.active != nil {
		if err := p.must(datasync(p.active)); err != nil {
			return err
		}
	}
	for _, base := range bases {
		if err := p.advance(base); err != nil {
			return err
		}
	}
	return p.syncDirs()
}

// must fails the partition for good when a sync has failed.
func (p *partition) must(err error) error {
	if err != nil {
		p.failed = fmt.Errorf("bring %s to disk: %w", p.dir, err)
	}
	return p.failed
}

// advance makes the segment the active one and brings it to disk.
func (p *partition) advance(base int64) error {
	f, err := os.Open(filepath.Join(p.dir, strconv.FormatInt(base, 10)+segmentSuffix))
	if err != nil {
		return err
	}
	if p.active != nil {
		p.active.Close()
	}
	p.active, p.base, p.renamed = f, base, true
	return p.must(datasync(f))
}

const segmentSuffix = ".dat"

// newSegments returns the base offsets of segments behind the active one, in order.
func (p *partition) newSegments() ([]int64, error) {
	files, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), segmentSuffix)
		if !ok {
			continue
		}
		if base, err := strconv.ParseInt(name, 10, 64); err == nil && base > p.base {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases, nil
}

// syncDirs makes the names of new files durable: in the partition's directory, and
// up to the root, where the list of topics is.
func (p *partition) syncDirs() error {
	if !p.renamed {
		return nil
	}
	for _, dir := range []string{p.dir, filepath.Dir(p.dir), p.root} {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		err = d.Sync()
		d.Close()
		if err := p.must(err); err != nil {
			return err
		}
	}
	p.renamed = false
	return nil
}

// close waits for a sync under way and closes the segment.
func (p *partition) close() error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.failed = errors.New("embedded log is closed")
	if p.active == nil {
		return nil
	}
	return p.active.Close()
}
