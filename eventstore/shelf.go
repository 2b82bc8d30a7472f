package eventstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/parley-im/parley/domain"
)

// key is what a thing is known by. Its text, behind the kind and a slash, is the
// name of the thing's record.
type key interface {
	comparable
	fmt.Stringer
}

// plain is the key of what the installation knows by a text.
type plain string

func (k plain) String() string { return string(k) }

func parsePlain(name string) (plain, bool) { return plain(name), name != "" }

// owned is the key of what an account knows by a text.
type owned struct{ account, id string }

func (k owned) String() string { return k.account + "/" + k.id }

func parseOwned(name string) (owned, bool) {
	account, id, ok := strings.Cut(name, "/")
	return owned{account, id}, ok && account != "" && id != ""
}

// numbered is the key of what an account knows by a number.
type numbered struct {
	account string
	number  int64
}

func (k numbered) String() string { return k.account + "/" + strconv.FormatInt(k.number, 10) }

func parseNumbered(name string) (numbered, bool) {
	account, text, ok := strings.Cut(name, "/")
	number, err := strconv.ParseInt(text, 10, 64)
	k := numbered{account, number}
	return k, ok && err == nil && account != "" && number > 0 && k.String() == name // one thing has one name
}

// shelf holds the things of one kind in memory, as their records tell them. What
// lies there is never written into, only replaced.
type shelf[K key, V any] struct {
	registry *Registry
	kind     string // what the names of the records begin with, without the slash
	parse    func(name string) (K, bool)
	key      func(V) K
	group    func(V) string // what the things are listed by: their account, as a rule
	account  func(V) string // whose the records are; nil when group tells
	encode   func(V) ([]byte, error)
	decode   func([]byte) (V, error)
	turned   func(old, now *V) // keeps an index; either may be nil; called under the registry's lock

	known  map[K]*V
	groups map[string]map[K]*V
}

// stored gives the two ways between things and the values of their records. R is
// the stored form, to which fields are only ever added.
func stored[V, R any](to func(V) (R, error), from func(R) (V, error)) (encode func(V) ([]byte, error), decode func([]byte) (V, error)) {
	encode = func(v V) ([]byte, error) {
		rec, err := to(v)
		if err != nil {
			return nil, err
		}
		return json.Marshal(rec)
	}
	decode = func(raw []byte) (V, error) {
		var rec R
		if err := json.Unmarshal(raw, &rec); err != nil {
			var none V
			return none, err
		}
		return from(rec)
	}
	return encode, decode
}

// keep makes the shelf known to its registry.
func (s *shelf[K, V]) keep(r *Registry) {
	s.registry, s.known, s.groups = r, map[K]*V{}, map[string]map[K]*V{}
	r.shelves[s.kind] = s
}

// apply puts what a record tells in the place of what was known under its name.
// What cannot be read, err telling why, does not exist: what it replaced is not
// good any more. A record that was applied before changes nothing.
func (s *shelf[K, V]) apply(name string, value []byte, err error) error {
	k, ok := s.parse(name)
	if !ok {
		return fmt.Errorf("read the record of a %s: %q is no name for one", s.kind, name)
	}
	var now *V
	if len(value) > 0 && err == nil {
		var v V
		if v, err = s.decode(value); err == nil && s.key(v) != k {
			err = fmt.Errorf("it is about %s", s.key(v))
		}
		if err == nil {
			now = &v
		}
	}
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	s.turn(k, now)
	if err != nil && len(value) > 0 {
		return fmt.Errorf("read %s %s: %w", s.kind, name, err)
	}
	return nil
}

// turn replaces what is known under a key. now is nil for nothing.
func (s *shelf[K, V]) turn(k K, now *V) {
	old := s.known[k]
	if old != nil {
		group := s.group(*old)
		delete(s.known, k)
		delete(s.groups[group], k)
		if len(s.groups[group]) == 0 {
			delete(s.groups, group)
		}
	}
	if now != nil {
		group := s.group(*now)
		if s.groups[group] == nil {
			s.groups[group] = map[K]*V{}
		}
		s.known[k], s.groups[group][k] = now, now
	}
	if s.turned != nil {
		s.turned(old, now)
	}
}

// get finds one thing.
func (s *shelf[K, V]) get(k K) (V, bool) {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	if v := s.known[k]; v != nil {
		return *v, true
	}
	var none V
	return none, false
}

// of gives the things of a group, in no order.
func (s *shelf[K, V]) of(group string) []V {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	things := s.groups[group]
	if len(things) == 0 {
		return nil
	}
	list := make([]V, 0, len(things))
	for _, v := range things {
		list = append(list, *v)
	}
	return list
}

// put appends a thing's record and waits until this node has it.
func (s *shelf[K, V]) put(ctx context.Context, v V) error {
	value, err := s.encode(v)
	if err != nil {
		return fmt.Errorf("store %s %s: %w", s.kind, s.key(v), err)
	}
	return s.registry.put(ctx, s.ownerOf(v), s.name(v), value)
}

// drop tells that a thing is gone and waits until this node knows.
func (s *shelf[K, V]) drop(ctx context.Context, v V) error {
	return s.registry.put(ctx, s.ownerOf(v), s.name(v), nil)
}

func (s *shelf[K, V]) name(v V) string { return s.kind + "/" + s.key(v).String() }

func (s *shelf[K, V]) ownerOf(v V) string {
	if s.account != nil {
		return s.account(v)
	}
	return s.group(v)
}

// taken is the error about a key that somebody else has.
func (s *shelf[K, V]) taken(k K) error {
	return domain.Errorf(domain.CodeConflict, "%s %s is there already", s.kind, k)
}

// missing is the error about a key that nobody has.
func (s *shelf[K, V]) missing(k K) error {
	return domain.Errorf(domain.CodeNotFound, "there is no %s %s", s.kind, k)
}
