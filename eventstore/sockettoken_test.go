package eventstore_test

import (
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// Ensure that the token of an owner is the same for ever: clients and rows keep it.
func TestSocketTokenIsStable(t *testing.T) {
	t.Parallel()
	s := newSealer(t, key(1))
	for owner, want := range map[string]string{
		"identity/91": "7ImIUuwM57FNDdGvnukdeEnw", "operator/acme/7": "akrUKT0BlfNx50mL9PZeJrb3", "": "3jYKHWiEbcphFsApuDlJDGzQ",
	} {
		if got := s.SocketToken(owner); got != want {
			t.Errorf("the token of %q is %s, was %s", owner, got, want)
		}
	}
}

// Ensure that each owner has a token of its own, of the form that clients expect,
// which follows from the oldest secret key and from nothing else.
func TestSocketToken(t *testing.T) {
	t.Parallel()
	s, owners := newSealer(t, key(1)), map[string]string{}
	const set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	count := map[rune]int{}
	const many = 4000
	for i := range many {
		owner := domain.AccountKey(strings.Repeat("x", i%7)) + "/" + strings.Repeat("y", i/7)
		token := s.SocketToken(owner)
		if len(token) != domain.TokenLength || strings.Trim(token, set) != "" || owners[token] != "" {
			t.Fatalf("the token of %q is %q, also that of %q", owner, token, owners[token])
		}
		owners[token] = owner
		for _, c := range token {
			count[c]++
		}
	}
	// Each of 62 characters is expected 1548 times, with a deviation of 39.
	for _, c := range set {
		if n := count[c]; n < 1548-240 || n > 1548+240 {
			t.Errorf("%c is there %d times of %d", c, n, many*domain.TokenLength)
		}
	}
	same, err := eventstore.NewSealer(key(2), key(1)) // a newer key was put in front
	if err != nil {
		t.Fatal(err)
	}
	if a, b, c := s.SocketToken("identity/1"), same.SocketToken("identity/1"), newSealer(t, key(2)).SocketToken("identity/1"); a != b || a == c {
		t.Errorf("%s, with a newer key %s, under another %s", a, b, c)
	}
}
