package eventstore_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/eventstore"
)

// Ensure that what the topic of channels holds can be read for ever: each kind of
// record has files that were written once, are read as the things they were made
// of, and are still written the same, but for ids and sealed secrets.
func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	log, sealer := newTestLog(t), newSealer(t, key(1))
	made := log.registryAt(t, ticking(), sealer)
	furnish(t, made)
	want := made.furniture()
	if hole := firstZero("", reflect.ValueOf(want)); hole != "" {
		t.Errorf("the examples leave %s empty: nobody would see it go", hole)
	}

	later := newTestLog(t)
	types := map[string]bool{}
	for _, written := range log.records(t) {
		types[written.Headers["ce_type"]] = true
		kept := readGolden(t, "records/"+strings.ReplaceAll(written.Key, "/", "_"), written)
		if diff := cmp.Diff(masked(t, kept), masked(t, written)); diff != "" {
			t.Errorf("%s is not written as it was (-then +now):\n%s", written.Key, diff)
		}
		if err := later.publisher.Publish(later.channels, kept.message()); err != nil {
			t.Fatal(err)
		}
	}
	read := later.registry(t, sealer)
	if diff := cmp.Diff(want, read.furniture()); diff != "" {
		t.Errorf("the golden records are not read as what they were made of (-want +got):\n%s", diff)
	}
	for _, name := range eventstore.RecordTypes() {
		if !types[name] {
			t.Errorf("%s has no example", name)
		}
	}
	files, err := os.ReadDir("testdata/records")
	if made := len(log.records(t)); err != nil || len(files) != made {
		t.Errorf("%d golden files (%v), %d examples: what is not made any more must still be read", len(files), err, made)
	}
}

// masked shows a record without what is different each time.
func masked(t *testing.T, g golden) string {
	t.Helper()
	g.Headers["ce_id"] = "an id"
	var value map[string]any
	if err := json.Unmarshal(g.Value, &value); err != nil {
		t.Fatal(err)
	}
	for name := range value {
		if strings.HasSuffix(name, "_sealed") {
			value[name] = "sealed"
		}
	}
	var err error
	if g.Value, err = json.Marshal(value); err != nil {
		t.Fatal(err)
	}
	return string(indented(t, g))
}

// Ensure that no record shows a secret, and that each is sealed for its own
// record: put into another it does not open.
func TestRecordsSealSecrets(t *testing.T) {
	t.Parallel()
	log, sealer := newTestLog(t), newSealer(t, key(1))
	furnish(t, log.registry(t, sealer))
	var sealed []string
	for _, g := range log.records(t) {
		if text := string(g.Value); strings.Contains(text, "secret-of") || strings.Contains(text, "value-of") ||
			strings.Contains(text, "whsec_") || strings.Contains(text, "token-of") || strings.Contains(text, "salt of") {
			t.Errorf("%s shows a secret", g.Key)
		}
		var value map[string]any
		if err := json.Unmarshal(g.Value, &value); err != nil {
			t.Fatal(err)
		}
		for name, text := range value {
			field, ok := strings.CutSuffix(name, "_sealed")
			if !ok {
				continue
			}
			if _, err := sealer.Open(g.Key+"/"+field, text.(string)); err != nil {
				t.Errorf("%s of %s is not sealed for it: %v", field, g.Key, err)
			}
			sealed = append(sealed, g.Key+"/"+field)
		}
	}
	slices.Sort(sealed)
	if want := []string{
		"api-token/acme/old/value", "api-token/acme/site/value", "channel/204815162342/api_token",
		"channel/3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33/security_salt", "channel/731905284416/hmac_token", "channel/731905284416/secret", "channel/aa11bb22-cc33-4d44-8e55-ff6677889900/security_salt",
		"function/acme/12/access_token", "sign-key/k1/secret", "sign-key/socket/secret",
		"subscription/acme/desk-1/former_secrets", "subscription/acme/desk-1/secret", "webhook/acme/2/secret",
	}; !slices.Equal(sealed, want) {
		t.Errorf("sealed are %q, want %q", sealed, want)
	}
}

// FuzzRegistry looks for records that make a registry panic, or that make it give
// a thing another name than its record has.
func FuzzRegistry(f *testing.F) {
	files, err := filepath.Glob("testdata/records/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(raw, &g); err != nil {
			f.Fatal(err)
		}
		f.Add(g.Key, g.Headers["ce_type"], []byte(g.Value))
	}
	f.Add("queue//1", "queue.changed.v1", []byte("null"))
	sealer := newSealer(f, key(1))
	f.Fuzz(func(t *testing.T, name, stored string, value []byte) {
		r := eventstore.NewRegistry(eventstore.RegistryConfig{
			Position: at, Sealer: sealer, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		msg := message.NewMessage("", value)
		msg.Metadata["ce_subject"], msg.Metadata["ce_type"] = name, stored
		msgs := make(chan *message.Message, 1)
		msgs <- msg
		close(msgs)
		r.Follow(msgs)
		kind, rest, _ := strings.Cut(name, "/")
		for _, ch := range r.Channels("") {
			if _, ok := r.Channel(ch.ID); !ok || kind != "channel" || ch.ID != rest {
				t.Errorf("%s is known as channel %q", name, ch.ID)
			}
		}
		account, _, _ := strings.Cut(rest, "/")
		for _, q := range r.Queues(account) {
			if want := fmt.Sprintf("queue/%s/%d", q.Account, q.Number); want != name {
				t.Errorf("%s is known as %s", name, want)
			}
		}
	})
}
