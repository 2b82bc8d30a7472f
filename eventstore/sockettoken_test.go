package eventstore_test

import (
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// Ensure that the token of an owner is the same for ever, whether or not what it
// follows from is kept yet: clients and rows keep it.
func TestSocketTokenIsStable(t *testing.T) {
	t.Parallel()
	r := newTestLog(t).registry(t, newSealer(t, key(1)))
	for range 2 {
		for owner, want := range map[string]string{
			"identity/91": "7ImIUuwM57FNDdGvnukdeEnw", "operator/acme/7": "akrUKT0BlfNx50mL9PZeJrb3", "": "3jYKHWiEbcphFsApuDlJDGzQ",
		} {
			if got := r.SocketToken(owner); got != want {
				t.Errorf("the token of %q is %s, was %s", owner, got, want)
			}
		}
		if err := r.KeepSocketKey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Ensure that tokens stay when the secret key is changed as an operator does it:
// the new one beside the old, then first, then alone.
func TestSocketTokenSurvivesAnotherSecretKey(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	const owner = "identity/91"
	var want string
	for i, keys := range [][][]byte{{key(1)}, {key(1), key(2)}, {key(2), key(1)}, {key(2)}} {
		sealer, err := eventstore.NewSealer(keys...)
		if err != nil {
			t.Fatal(err)
		}
		r := log.registry(t, sealer)
		if err := r.KeepSocketKey(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = r.SocketToken(owner)
		}
		if got := r.SocketToken(owner); got != want {
			t.Errorf("at step %d the token is %s, was %s", i, got, want)
		}
		r.stop()
	}
	once := newTestLog(t)
	one, two := once.registry(t, newSealer(t, key(1))), once.registry(t, newSealer(t, key(1)))
	for _, r := range []*follower{one, two, one} {
		if err := r.KeepSocketKey(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.catchUp(t, once)
	}
	if records := once.records(t); len(records) != 1 || one.SocketToken(owner) != two.SocketToken(owner) {
		t.Errorf("%d records, %s and %s", len(records), one.SocketToken(owner), two.SocketToken(owner))
	}
}

// Ensure that each owner has a token of its own, of the form that clients expect,
// and that another installation has others.
func TestSocketToken(t *testing.T) {
	t.Parallel()
	r, owners := newTestLog(t).registry(t, newSealer(t, key(1))), map[string]string{}
	const set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	count := map[rune]int{}
	const many = 4000
	for i := range many {
		owner := domain.AccountKey(strings.Repeat("x", i%7)) + "/" + strings.Repeat("y", i/7)
		token := r.SocketToken(owner)
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
	if other := newTestLog(t).registry(t, newSealer(t, key(2))); other.SocketToken("identity/1") == r.SocketToken("identity/1") {
		t.Error("two installations make one token")
	}
}
