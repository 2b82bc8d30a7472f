package eventstore_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/parley-im/parley/eventstore"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, eventstore.SealKeySize) }

func newSealer(t testing.TB, keys ...[]byte) *eventstore.Sealer {
	t.Helper()
	s, err := eventstore.NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *eventstore.Sealer, owner, plain string) string {
	t.Helper()
	sealed, err := s.Seal(owner, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Ensure that a sealed secret opens for its owner, hides its text, and is never
// the same twice.
func TestSealRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSealer(t, key(1))
	for _, plain := range []string{"", "s3cret", strings.Repeat("long ", 1000)} {
		one, two := seal(t, s, "channel/7", plain), seal(t, s, "channel/7", plain)
		if one == two {
			t.Error("two seals of one text are the same")
		}
		if plain != "" && strings.Contains(one, plain) {
			t.Error("the text shows")
		}
		got, err := s.Open("channel/7", one)
		if err != nil || string(got) != plain {
			t.Errorf("opened %q (%v), want %q", got, err, plain)
		}
	}
}

// Ensure that nothing opens but what was sealed for that owner under a key that
// is there.
func TestSealRefuses(t *testing.T) {
	t.Parallel()
	s := newSealer(t, key(1))
	sealed := seal(t, s, "channel/7", "s3cret")
	id, text, _ := strings.Cut(sealed, ".")
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(i int) string {
		other := bytes.Clone(raw)
		other[i] ^= 1
		return id + "." + base64.RawStdEncoding.EncodeToString(other)
	}
	for name, c := range map[string]struct{ owner, sealed string }{
		"another owner":    {"channel/8", sealed},
		"nonce changed":    {"channel/7", changed(0)},
		"text changed":     {"channel/7", changed(12)},
		"tag changed":      {"channel/7", changed(len(raw) - 1)},
		"cut off":          {"channel/7", sealed[:len(sealed)-4]},
		"only a key":       {"channel/7", id + "."},
		"no key":           {"channel/7", text},
		"nothing":          {"channel/7", ""},
		"no base64":        {"channel/7", id + ".***"},
		"key is not there": {"channel/7", seal(t, newSealer(t, key(2)), "channel/7", "s3cret")},
	} {
		if _, err := s.Open(c.owner, c.sealed); !errors.Is(err, eventstore.ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

// Ensure that a change of keys loses nothing: the old key opens, the new one seals.
func TestSealRotation(t *testing.T) {
	t.Parallel()
	before := newSealer(t, key(1))
	old := seal(t, before, "channel/7", "s3cret")
	both := newSealer(t, key(2), key(1))
	if got, err := both.Open("channel/7", old); err != nil || string(got) != "s3cret" {
		t.Errorf("the old key does not open: %q, %v", got, err)
	}
	sealed := seal(t, both, "channel/7", "s3cret")
	if _, err := before.Open("channel/7", sealed); !errors.Is(err, eventstore.ErrSealed) {
		t.Errorf("sealed under the old key: %v", err)
	}
	if got, err := newSealer(t, key(2)).Open("channel/7", sealed); err != nil || string(got) != "s3cret" {
		t.Errorf("not sealed under the new key: %q, %v", got, err)
	}
}

// Ensure that keys of a wrong size are refused by their place.
func TestSealKeys(t *testing.T) {
	t.Parallel()
	for _, keys := range [][][]byte{{}, {nil}, {key(1)[1:]}, {append(key(1), 1)}, {key(1), key(2)[1:]}} {
		if _, err := eventstore.NewSealer(keys...); err == nil {
			t.Errorf("%d keys are taken", len(keys))
		}
	}
	one, two := base64.StdEncoding.EncodeToString(key(1)), base64.StdEncoding.EncodeToString(key(2))
	keys, err := eventstore.ParseSealKeys(two + ", " + one)
	if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], key(2)) {
		t.Errorf("two keys are read as %d, %v", len(keys), err)
	}
	for text, place := range map[string]string{"": "key 1", "hello": "key 1", one + ",": "key 2", one + "," + one[4:]: "key 2"} {
		if _, err := eventstore.ParseSealKeys(text); err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("%q: %v, want an error about %s", text, err, place)
		} else if strings.Contains(err.Error(), one) {
			t.Errorf("%q: the error tells a key", text)
		}
	}
}
