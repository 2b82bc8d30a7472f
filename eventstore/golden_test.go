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
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

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
	return golden{Key: eventstore.Key(msg), Headers: headers, Value: json.RawMessage(msg.Payload)}
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

// examples has every stored event with every field filled.
func examples() []domain.Event {
	id := func(word string) uuid.UUID { return domain.DeriveID("example", word) }
	now := time.Date(2026, 3, 1, 9, 30, 0, 125e6, time.UTC)
	sent, next := now.Add(-2*time.Second), now.Add(5*time.Second)
	lat, long, zone := 38.7223, -9.1393, 5.5
	everything := domain.Content{
		Type: domain.ContentAttachment, Text: "Olá <3", Latitude: &lat, Longitude: &long, Address: "Rua Augusta 1",
		Attachment: &domain.Attachment{
			Type: "image", URL: "https://example.com/a.png?x=1&y=2", MimeType: "image/png", FileName: "a.png", Description: "the blue one",
		},
		Title: "Which one?", Replies: []string{"blue", "red"},
	}
	profile := &domain.Profile{
		FirstName: "Ada", LastName: "Example", PictureURL: "https://example.com/ada.png", Locale: "pt_PT", CountryCode: "PT",
		Timezone: &zone, Email: "ada@example.com", Phone: "+15550100", Language: "pt",
	}
	message, conversation, contact := id("message"), id("conversation"), id("contact")
	data := []domain.Data{
		domain.MessageReceived{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "x-1", SentAt: sent, Content: everything, Profile: profile,
		},
		domain.MessageEchoed{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "x-2", SentAt: sent, Content: everything, Profile: profile,
		},
		domain.MessageSent{
			MessageID: message, ConversationID: conversation, ContactID: contact, Content: everything, Author: "desk", Profile: profile,
		},
		domain.ReceiptRecorded{
			ConversationID: conversation, ExternalID: "x-3", Value: domain.StatusFailed, Reason: "number is not in service", OccurredAt: sent,
		},
		domain.ConversationClosed{ConversationID: conversation, Seen: message, Reason: domain.ClosedByAgent, By: "desk"},
		domain.ConversationAssigned{ConversationID: conversation, To: domain.HandlerAgent, AgentID: "agent-7", By: "desk"},
		domain.DeliveryAttempted{
			DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, Attempt: 3, StartedAt: sent, DurationMS: 412,
			Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "answered 503", ExternalID: "x-4",
			Response: "try later", NextAttemptAt: &next, Parks: true,
		},
		domain.DeliveryRedriven{DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, By: "desk"},
		domain.DeliveryDropped{DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, By: "desk"},
	}
	events := make([]domain.Event, len(data))
	for i, d := range data {
		events[i] = domain.Event{
			Account: "default", Channel: "204815162342", Dialect: domain.DialectRespondIO, ContactRef: "team/7", Time: now, Data: d,
		}
		events[i].ID = id(events[i].Type())
	}
	return events
}

// Ensure that what the log holds can be read for ever: each stored name has a
// record that was written once, is read as the example it was made of, and is
// still written the same.
func TestGolden(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, event := range examples() {
		names[event.Type()] = true
		t.Run(event.Type(), func(t *testing.T) {
			t.Parallel()
			msg, err := eventstore.Encode(event)
			if err != nil {
				t.Fatal(err)
			}
			written := goldenOf(msg)
			kept := readGolden(t, event.Type(), written)
			if diff := cmp.Diff(indented(t, kept), indented(t, written)); diff != "" {
				t.Errorf("the example is not written as it was (-then +now):\n%s", diff)
			}
			got, err := eventstore.Decode(kept.message(), at)
			if err != nil {
				t.Fatal(err)
			}
			want := domain.Recorded{Event: event, Position: domain.Position{Partition: 3, Offset: 41}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the golden record is not read as its example (-want +got):\n%s", diff)
			}
			if hole := firstZero(reflect.ValueOf(event.Data), event.Type()); hole != "" {
				t.Errorf("the example leaves %s empty: nobody would see it go", hole)
			}
		})
	}
	for _, name := range domain.EventTypes() {
		if !names[name] {
			t.Errorf("%s has no example", name)
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
		if _, unknown := event.Data.(domain.Unknown); unknown || event.Type() != name {
			t.Errorf("%s is read as %s (unknown: %t)", file, event.Type(), unknown)
		}
	}
}

// readGolden reads the golden file of a stored name. With -update a missing one is
// written first.
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

// firstZero names the first field, however deep, that has its zero value.
func firstZero(v reflect.Value, path string) string {
	if v.IsZero() {
		return path
	}
	if v.Kind() == reflect.Pointer {
		return firstZero(v.Elem(), path)
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return ""
	}
	for i := range v.NumField() {
		if hole := firstZero(v.Field(i), path+"."+v.Type().Field(i).Name); hole != "" {
			return hole
		}
	}
	return ""
}
