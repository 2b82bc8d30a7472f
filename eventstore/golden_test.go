package eventstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

var update = flag.Bool("update", false, "add golden files that are missing; one that is there is never changed")

// golden is a record of the log as its file shows it: key, headers and value.
type golden struct {
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers"`
	Value   json.RawMessage   `json:"value"`
}

// at is where the examples stand in the log.
func at(*message.Message) (int, int64, bool) { return 3, 41, true }

func goldenOf(msg *message.Message) golden {
	headers := map[string]string{"ce_id": msg.UUID}
	maps.Copy(headers, msg.Metadata)
	return golden{Key: eventstore.PartitionKey(msg), Headers: headers, Value: json.RawMessage(msg.Payload)}
}

func (g golden) message() *message.Message {
	msg := message.NewMessage(g.Headers["ce_id"], message.Payload(g.Value))
	for name, value := range g.Headers {
		if name != "ce_id" {
			msg.Metadata[name] = value
		}
	}
	return msg
}

// Ensure that what the log holds can be read for ever: each stored name has a
// record that was written once, is read as the example it was made of, and is
// still written the same.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		t.Run(e.file(), func(t *testing.T) {
			t.Parallel()
			msg, err := eventstore.Encode(e.Event)
			if err != nil {
				t.Fatal(err)
			}
			written := goldenOf(msg)
			kept := readGolden(t, e.file(), written)
			if diff := cmp.Diff(indented(t, kept), indented(t, written)); diff != "" {
				t.Errorf("the example is not written as it was (-then +now):\n%s", diff)
			}
			got, err := eventstore.Decode(kept.message(), at)
			if err != nil {
				t.Fatal(err)
			}
			want := domain.Recorded{Event: e.Event, Position: domain.Position{Partition: 3, Offset: 41}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the golden record is not read as its example (-want +got):\n%s", diff)
			}
		})
	}
	last := newest()
	for _, name := range domain.EventTypes() {
		e, ok := last[name]
		if !ok {
			t.Errorf("%s has no example", name)
			continue
		}
		if hole := firstZero(name, reflect.ValueOf(e.Data)); hole != "" {
			t.Errorf("the newest example leaves %s empty: nobody would see it go", hole)
		}
	}
}

// Ensure that golden files outlive what they were made of: a name that is not
// written any more is still read.
func TestGoldenFilesAreAllRead(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < len(domain.EventTypes()) {
		t.Fatalf("%d golden files (%v), want at least %d", len(files), err, len(domain.EventTypes()))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		event, err := eventstore.Decode(readGolden(t, name, golden{}).message(), at)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if _, unknown := event.Data.(domain.Unknown); unknown || event.Type() != name && !strings.HasPrefix(name, event.Type()+".") {
			t.Errorf("%s is read as %s (unknown: %t)", file, event.Type(), unknown)
		}
	}
}

// readGolden reads a golden file. With -update a missing one is written first.
func readGolden(t *testing.T, name string, written golden) golden {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *update && written.Key != "" {
		raw = indented(t, written)
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatalf("%v (a new stored name? go test ./eventstore -run TestGolden -update)", err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func indented(t *testing.T, g golden) []byte {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	if err := enc.Encode(g); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// firstZero names the first field, however deep, that has its zero value in all of
// the examples.
func firstZero(path string, examples ...reflect.Value) string {
	examples = slices.DeleteFunc(examples, reflect.Value.IsZero)
	if len(examples) == 0 {
		return path
	}
	var inner []reflect.Value
	switch examples[0].Kind() {
	case reflect.Pointer:
		for _, v := range examples {
			inner = append(inner, v.Elem())
		}
		return firstZero(path, inner...)
	case reflect.Slice:
		for _, v := range examples {
			for i := range v.Len() {
				inner = append(inner, v.Index(i))
			}
		}
		return firstZero(path+"[]", inner...)
	case reflect.Struct:
		if examples[0].Type() == reflect.TypeFor[time.Time]() {
			return ""
		}
		for i := range examples[0].NumField() {
			inner = nil
			for _, v := range examples {
				inner = append(inner, v.Field(i))
			}
			if hole := firstZero(path+"."+examples[0].Type().Field(i).Name, inner...); hole != "" {
				return hole
			}
		}
	default:
	}
	return ""
}
