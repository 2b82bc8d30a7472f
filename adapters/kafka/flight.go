package kafka

import (
	"context"
	"sync"
)

// spanFactor bounds how far acknowledgements may run ahead of the oldest missing
// one, as a multiple of the records that may be in flight.
const spanFactor = 16

// flight tracks the records of one partition that were read and not yet
// acknowledged, and knows the contiguous acknowledged prefix: the only thing that
// may be committed.
type flight struct {
	limit int
	wake  chan struct{} // one token: something was settled

	mu      sync.Mutex // guards what follows
	entries []*entry   // in offset order; the first is not settled
	open    int        // entries that are not settled
	next    int64      // the offset after the last entry ever added, -1 before any
}

type entry struct {
	offset  int64
	settled bool
}

func newFlight(limit int) *flight {
	return &flight{limit: limit, wake: make(chan struct{}, 1), next: -1}
}

// add waits for room and takes the record in. It is called by one goroutine, in
// offset order, and returns nil when ctx has ended.
func (f *flight) add(ctx context.Context, offset int64) *entry {
	for {
		if e := f.tryAdd(offset); e != nil {
			return e
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *flight) tryAdd(offset int64) *entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open >= f.limit || len(f.entries) >= spanFactor*f.limit {
		return nil
	}
	e := &entry{offset: offset}
	f.entries = append(f.entries, e)
	f.open++
	f.next = offset + 1
	return e
}

// settle marks the record as acknowledged.
func (f *flight) settle(e *entry) {
	f.mu.Lock()
	e.settled = true
	f.open--
	n := 0
	for n < len(f.entries) && f.entries[n].settled {
		n++
	}
	if n == len(f.entries) {
		f.entries = f.entries[:0] // keep the array: the usual case
	} else {
		f.entries = f.entries[n:]
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// prefix returns the offset before which every record has been acknowledged, or -1
// when none was read yet.
func (f *flight) prefix() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.entries) > 0 {
		return f.entries[0].offset
	}
	return f.next
}

// inFlight returns how many records are not acknowledged.
func (f *flight) inFlight() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}
