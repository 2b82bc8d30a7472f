package eventstore_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/eventstore"
)

// Keys that are taken have their size and are read as the same when they are
// written again; what is refused is not shown, for it may be nearly a key.
func FuzzSealKeys(f *testing.F) {
	one := base64.StdEncoding.EncodeToString(key(1))
	for _, seed := range []string{one, one + "," + base64.StdEncoding.EncodeToString(key(2)), " " + one + " ,", "", ",", one[:20], one + "\n", strings.TrimRight(one, "="), one[:len(one)-2] + "/="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := eventstore.ParseSealKeys(text)
		if err != nil {
			if keys != nil || !strings.Contains(err.Error(), "secret key") {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			for part := range strings.SplitSeq(text, ",") {
				if len(part) > 12 && strings.Contains(err.Error(), part) {
					t.Fatalf("it is shown: %v", err)
				}
			}
			return
		}
		var written []string
		for _, k := range keys {
			if len(k) != eventstore.SealKeySize {
				t.Fatalf("a key of %d bytes", len(k))
			}
			written = append(written, base64.StdEncoding.EncodeToString(k))
		}
		again, err := eventstore.ParseSealKeys(strings.Join(written, ","))
		if err != nil || len(again) != len(keys) || !bytes.Equal(again[0], keys[0]) {
			t.Fatalf("%d keys, and again %d (%v)", len(keys), len(again), err)
		}
		if _, err := eventstore.NewSealer(keys...); err != nil {
			t.Fatal(err)
		}
	})
}

// Nothing but what was sealed opens, and only for its owner.
func FuzzOpen(f *testing.F) {
	sealer := newSealer(f, key(1))
	sealed, err := sealer.Seal("channel/1/api_token", []byte("a secret"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{sealed, sealed + "A", sealed[:len(sealed)-1], strings.ToUpper(sealed), "", ".", "x." + sealed, sealed[:9], sealed + "\n"} {
		f.Add("channel/1/api_token", seed)
		f.Add("channel/2/api_token", seed)
	}
	f.Fuzz(func(t *testing.T, owner, text string) {
		plain, err := sealer.Open(owner, text)
		if err == nil {
			if again, err := sealer.Seal(owner, plain); err != nil || again == text {
				t.Fatalf("%q is sealed as before (%v)", plain, err)
			}
			if owner != "channel/1/api_token" || string(plain) != "a secret" {
				t.Fatalf("%q opens for %q", text, owner)
			}
			return
		}
		if !errors.Is(err, eventstore.ErrSealed) || plain != nil {
			t.Fatalf("%q, %v", plain, err)
		}
	})
}

// Envelopes that are taken name an account, a channel and a contact, and say it
// again in the same words once they are written.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range [][5]string{
		{"1.0", "/accounts/a/channels/b", "b/c", "2026-03-01T09:30:00.000Z", "respondio"}, {"0.3", "/accounts//channels/", "/", "x", ""},
		{"1.0", "/accounts/a/channels/b/channels/c", "b/c/d", "0000-01-01T00:00:00Z", "\xff"}, {"1.0", "/accounts/\x00/channels/", "b/\x00", "9999-12-31T23:59:59.999999999+14:00", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, version, source, subject, when, dialect string) {
		msg := message.NewMessage("5e2b8f14-0c3d-4b6a-9e21-6d7f8091a2b3", []byte(`{}`))
		msg.Metadata = message.Metadata{
			"ce_specversion": version, "ce_type": "conversation.closed.v1", "ce_source": source, "ce_subject": subject, "ce_time": when, "ce_parleydialect": dialect,
		}
		got, err := eventstore.Decode(msg, at)
		if err != nil {
			if !strings.Contains(err.Error(), "ce_") && !strings.Contains(err.Error(), "value") {
				t.Fatalf("%v names nothing", err)
			}
			return
		}
		if version != "1.0" || got.Account == "" || got.Channel == "" || got.ContactRef == "" || got.Stream() != subject || !strings.HasPrefix(source, "/accounts/"+got.Account+"/") {
			t.Fatalf("%+v", got)
		}
		again, err := eventstore.Encode(got.Event)
		if err != nil || again.Metadata.Get("ce_subject") != subject || again.Metadata.Get("ce_parleydialect") != dialect {
			t.Fatalf("%v, %v", again, err)
		}
	})
}
