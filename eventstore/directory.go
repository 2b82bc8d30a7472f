package eventstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// entry is what a directory sets and keeps in a thing.
type entry struct {
	account              *string
	number               *int64
	createdAt, updatedAt *time.Time
}

func (e entry) key() numbered { return numbered{*e.account, *e.number} }

// directory is a shelf of things that have a number in their account and are
// edited by people.
type directory[V interface{ Validate() error }] struct {
	shelf[numbered, V]
	entry func(*V) entry
	own   func(*V)                    // gives a copy slices of its own; nil when it has none
	fits  func(v V, others []V) error // among the others of its account; nil when it always does
}

// newDirectory makes a directory of a registry.
func newDirectory[V interface{ Validate() error }, R any](
	r *Registry, kind string, parts func(*V) entry, to func(V) (R, error), from func(R) (V, error),
) *directory[V] {
	d := &directory[V]{entry: parts}
	d.kind, d.parse = kind, parseNumbered
	d.key = func(v V) numbered { return parts(&v).key() }
	d.group = func(v V) string { return *parts(&v).account }
	d.encode, d.decode = stored(to, from)
	d.keep(r)
	return d
}

// list gives the things of an account by number, ascending.
func (d *directory[V]) list(account string) []V {
	list := d.of(account)
	slices.SortFunc(list, func(a, b V) int { return cmp.Compare(*d.entry(&a).number, *d.entry(&b).number) })
	return list
}

// create adds a thing under the number that it has; CodeConflict when that is taken.
func (d *directory[V]) create(ctx context.Context, v V) (V, error) {
	var none V
	if err := d.registry.begin(ctx); err != nil {
		return none, err
	}
	defer d.registry.end()
	e := d.entry(&v)
	k := e.key()
	if k.number <= 0 {
		return none, domain.Invalid("id", "must be a number above 0")
	}
	if k.account == "" || strings.Contains(k.account, "/") {
		return none, domain.Invalid("account", "must be the name of an account")
	}
	if _, taken := d.get(k); taken {
		return none, d.taken(k)
	}
	now := domain.Stamp(d.registry.now())
	*e.createdAt, *e.updatedAt = now, now
	return d.place(ctx, v)
}

// change edits a thing; CodeNotFound when there is none. edit gets a copy; the
// key and the time of creation stay whatever it does.
func (d *directory[V]) change(ctx context.Context, account string, number int64, edit func(*V) error) (V, error) {
	var none V
	if err := d.registry.begin(ctx); err != nil {
		return none, err
	}
	defer d.registry.end()
	k := numbered{account, number}
	v, ok := d.get(k)
	if !ok {
		return none, d.missing(k)
	}
	if d.own != nil {
		d.own(&v)
	}
	createdAt := *d.entry(&v).createdAt
	if err := edit(&v); err != nil {
		return none, err
	}
	e := d.entry(&v)
	*e.account, *e.number, *e.createdAt, *e.updatedAt = account, number, createdAt, domain.Stamp(d.registry.now())
	return d.place(ctx, v)
}

// delete forgets a thing; CodeNotFound when there is none.
func (d *directory[V]) delete(ctx context.Context, account string, number int64) error {
	if err := d.registry.begin(ctx); err != nil {
		return err
	}
	defer d.registry.end()
	k := numbered{account, number}
	v, ok := d.get(k)
	if !ok {
		return d.missing(k)
	}
	return d.drop(ctx, v)
}

// place makes a thing known if it is one that a person may enter.
func (d *directory[V]) place(ctx context.Context, v V) (V, error) {
	var none V
	if err := v.Validate(); err != nil {
		return none, err
	}
	if d.fits != nil {
		k := d.key(v)
		others := slices.DeleteFunc(d.of(k.account), func(other V) bool { return d.key(other) == k })
		if err := d.fits(v, others); err != nil {
			return none, err
		}
	}
	if err := d.put(ctx, v); err != nil {
		return none, err
	}
	return v, nil
}
