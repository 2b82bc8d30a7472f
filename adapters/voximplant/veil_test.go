package voximplant

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Ensure conversations are hidden behind random-looking UUIDs which only a key
// leads back from, also an old one.
func TestVeil(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := &veil{&keyring{keys: w, random: rand.Reader}}
	told := map[uuid.UUID]uuid.UUID{}
	for i := range 1000 {
		id := domain.ConversationID(channelA, string(rune('a'+i)))
		hidden, err := v.hide(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		again, err := v.hide(t.Context(), id)
		if _, twice := told[hidden]; err != nil || again != hidden || twice || !shaped(hidden) || hidden == id {
			t.Fatalf("%s is hidden as %s, then %s", id, hidden, again)
		}
		told[hidden] = id
	}
	if len(w.keys) != 1 {
		t.Fatalf("%d keys", len(w.keys))
	}
	w.keys = append([]domain.SignKey{
		{ID: "new", Purpose: domain.KeyConversation, Secret: bytes.Repeat([]byte{1}, 32)}, {ID: "login", Purpose: domain.KeyLogin},
	}, w.keys...)
	for hidden, id := range told {
		ids, err := v.reveal(hidden)
		if err != nil || len(ids) != 2 || ids[0] == id || ids[1] != id {
			t.Fatalf("%s leads to %v, want %s second", hidden, ids, id)
		}
		if other, err := v.hide(t.Context(), id); err != nil || other == hidden {
			t.Fatalf("another key hides %s the same", id)
		}
	}
	for _, id := range []uuid.UUID{uuid.Nil, domain.ConversationID("c", "r"), uuid.MustParse("c4a7e0d9-2b58-4f13-ce6c-0a1b2c3d4e5f")} {
		if ids, err := v.reveal(id); err != nil || len(ids) != 0 {
			t.Errorf("%s leads to %v", id, ids)
		}
	}
}

// Ensure one key is made however many ask first, and that a log that is away
// makes none.
func TestFirstKey(t *testing.T) {
	t.Parallel()
	w := newWorld()
	k := &keyring{keys: w, random: rand.Reader}
	ids := make(chan string)
	for range 8 {
		go func() {
			key, err := k.newest(t.Context(), domain.KeyLogin)
			if err != nil {
				t.Error(err)
			}
			ids <- key.ID
		}()
	}
	first := <-ids
	for range 7 {
		if id := <-ids; id != first {
			t.Errorf("two keys: %s and %s", first, id)
		}
	}
	w.noKeys = errors.New("away")
	if _, err := k.newest(t.Context(), domain.KeyConversation); !errors.Is(err, w.noKeys) {
		t.Error(err)
	}
}
