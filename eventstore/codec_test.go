package eventstore_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// encoded gives the record of an ordinary event.
func encoded(t testing.TB) *message.Message {
	t.Helper()
	msg, err := eventstore.Encode(ordinary())
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// Ensure that an event of a newer Parley is data: it comes with all it had, and
// is written as it came.
func TestDecodeUnknownType(t *testing.T) {
	t.Parallel()
	msg := encoded(t)
	msg.Metadata["ce_type"] = "message.pinned.v1"
	msg.Payload = []byte(`{"pinned":true,"by":["agent-7"]}`)
	event, err := eventstore.Decode(msg, at)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Unknown{Type: "message.pinned.v1", Raw: json.RawMessage(`{"pinned":true,"by":["agent-7"]}`)}
	if diff := cmp.Diff(domain.Data(want), event.Data); diff != "" {
		t.Error(diff)
	}
	again, err := eventstore.Encode(event.Event)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenOf(msg), goldenOf(again)); diff != "" {
		t.Errorf("it is not written as it came:\n%s", diff)
	}
}

// Ensure that a field that this version does not know does no harm.
func TestDecodeIgnoresNewFields(t *testing.T) {
	t.Parallel()
	msg := encoded(t)
	msg.Payload = append([]byte(`{"mood":{"of":"the sender"},`), msg.Payload[1:]...)
	event, err := eventstore.Decode(msg, at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ordinary(), event.Event); diff != "" {
		t.Error(diff)
	}
}

// Ensure that each part of the envelope that is not what it must be is an error
// that tells where the record stands and which part it is.
func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*message.Message) {
		return func(msg *message.Message) { msg.Metadata[name] = value }
	}
	value := func(text string) func(*message.Message) {
		return func(msg *message.Message) { msg.Payload = []byte(text) }
	}
	for _, c := range []struct {
		name, part string
		spoil      func(*message.Message)
	}{
		{"no id", "ce_id", func(msg *message.Message) { msg.UUID = "" }},
		{"id is no UUID", "ce_id", func(msg *message.Message) { msg.UUID = "message-1" }},
		{"no version", "ce_specversion", header("ce_specversion", "")},
		{"another version", "ce_specversion", header("ce_specversion", "2.0")},
		{"no type", "ce_type", header("ce_type", "")},
		{"no time", "ce_time", header("ce_time", "")},
		{"time is none", "ce_time", header("ce_time", "yesterday")},
		{"no subject", "ce_subject", header("ce_subject", "")},
		{"subject without contact", "ce_subject", header("ce_subject", "204815162342")},
		{"subject with empty contact", "ce_subject", header("ce_subject", "204815162342/")},
		{"subject with empty channel", "ce_subject", header("ce_subject", "/+15550100")},
		{"no source", "ce_source", header("ce_source", "")},
		{"source without channel", "ce_source", header("ce_source", "/accounts/default")},
		{"source with empty account", "ce_source", header("ce_source", "/accounts//channels/204815162342")},
		{"value is no JSON", "value", value("hello")},
		{"no value", "value", value("")},
		{"value is null", "value", value(" null ")},
		{"value is a list", "value", value("[]")},
		{"field of another type", "value", value(`{"message_id":7}`)},
		{"id in the value is no UUID", "value", value(`{"message_id":"x"}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			msg := encoded(t)
			c.spoil(msg)
			_, err := eventstore.Decode(msg, at)
			if err == nil {
				t.Fatal("it was decoded")
			}
			if !strings.Contains(err.Error(), "3:41") || !strings.Contains(err.Error(), c.part) {
				t.Errorf("the error must name the position 3:41 and %s: %v", c.part, err)
			}
		})
	}
}

// Ensure that a message that was not read from the log is refused.
func TestDecodeWithoutPosition(t *testing.T) {
	t.Parallel()
	nowhere := func(*message.Message) (int, int64, bool) { return 0, 0, false }
	if _, err := eventstore.Decode(encoded(t), nowhere); err == nil {
		t.Error("it was decoded")
	}
}

// Ensure that an event without data is never written.
func TestEncodeNothing(t *testing.T) {
	t.Parallel()
	for _, data := range []domain.Data{nil, domain.Unknown{}, domain.Unknown{Type: "x.v1", Raw: json.RawMessage("{")}} {
		event := ordinary()
		event.Data = data
		if _, err := eventstore.Encode(event); err == nil {
			t.Errorf("%#v was encoded", data)
		}
	}
}

// FuzzDecode looks for records that make Decode panic, or that are not the same
// after having been written again.
func FuzzDecode(f *testing.F) {
	for _, e := range examples() {
		msg, err := eventstore.Encode(e.Event)
		if err != nil {
			f.Fatal(err)
		}
		m := msg.Metadata
		f.Add(msg.UUID, m["ce_type"], m["ce_source"], m["ce_subject"], m["ce_time"], []byte(msg.Payload))
	}
	f.Add("", "message.received.v1", "/accounts/a/channels/b/channels/c", "a/b/c", "2026-03-01T09:30:00+14:00", []byte(`{"sent_at":null}`))
	f.Add(uuid.Nil.String(), "later.v9", "/accounts/\xff/channels/\x00", "\xff/\x00", "0000-01-01T00:00:00Z", []byte("\xff"))
	f.Fuzz(func(t *testing.T, id, stored, source, subject, at1 string, value []byte) {
		msg := message.NewMessage(id, value)
		msg.Metadata = message.Metadata{
			"ce_specversion": "1.0", "ce_type": stored, "ce_source": source, "ce_subject": subject, "ce_time": at1,
		}
		event, err := eventstore.Decode(msg, at)
		if err != nil {
			return
		}
		again, err := eventstore.Encode(event.Event)
		if err != nil {
			return // such as a time with a year of five digits, or a value that is no JSON
		}
		second, err := eventstore.Decode(again, at)
		if err != nil {
			t.Fatalf("what was decoded and encoded is not decoded: %v", err)
		}
		if event.Type() != second.Type() || event.Stream() != second.Stream() || event.ID != second.ID {
			t.Errorf("%s of %s has become %s of %s", event.Type(), event.Stream(), second.Type(), second.Stream())
		}
	})
}
