package eventstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Headers of a record: CloudEvents 1.0, Kafka binding, binary mode. The id is
// the message's UUID, which the Kafka adapter writes as ce_id.
const (
	headerSpecVersion = "ce_specversion"
	headerType        = "ce_type"
	headerSource      = "ce_source"
	headerSubject     = "ce_subject"
	headerTime        = "ce_time"
	headerDialect     = "ce_parleydialect" // extension: the channel's dialect
	headerPartition   = "ce_partitionkey"  // extension of CloudEvents: what the record is keyed by, where that is not its subject
	headerContentType = "content-type"
	headerTrace       = "traceparent" // extension: the request that the event came with; it has no prefix, as tracers expect

	specVersion = "1.0"
	timeLayout  = "2006-01-02T15:04:05.000Z07:00" // RFC 3339 of one width, so that it sorts as text
	contentType = "application/json"
)

// Key is the subject of a message: the stream of an event, and the name of a
// channel record.
func Key(msg *message.Message) string { return msg.Metadata.Get(headerSubject) }

// PartitionKey is the record key of a message, which says in which partition it
// goes: the subject unless the event says otherwise (domain.Event.PartitionKey).
func PartitionKey(msg *message.Message) string {
	if key := msg.Metadata.Get(headerPartition); key != "" {
		return key
	}
	return Key(msg)
}

// Awaited tells whether whoever appended a message waits for the rows that come of
// it: as in dialects with tickets, which answer from them.
func Awaited(msg *message.Message) bool {
	return domain.Dialect(msg.Metadata[headerDialect]).HasTickets() && !strings.HasPrefix(msg.Metadata[headerType], "delivery.")
}

// Encode makes the log's form of an event.
func Encode(e domain.Event) (*message.Message, error) {
	stored := e.Type()
	if stored == "" {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, errNoType)
	}
	value, err := json.Marshal(e.Data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", stored, err)
	}
	msg := message.NewMessage(e.ID.String(), value)
	stamp(msg, stored, sourceOf(e.Account, e.Channel), e.Stream(), e.Time)
	msg.Metadata[headerDialect] = string(e.Dialect)
	if key := e.PartitionKey(); key != e.Stream() {
		msg.Metadata[headerPartition] = key
	}
	return msg, nil
}

// stamp writes the envelope. The map is the one that the message comes with.
func stamp(msg *message.Message, stored, source, subject string, at time.Time) {
	msg.Metadata[headerSpecVersion] = specVersion
	msg.Metadata[headerType] = stored
	msg.Metadata[headerSource] = source
	msg.Metadata[headerSubject] = subject
	msg.Metadata[headerTime] = at.UTC().Format(timeLayout)
	msg.Metadata[headerContentType] = contentType
}

// sourceOf is the CloudEvents source of a channel's events.
func sourceOf(account, channel string) string { return "/accounts/" + account + "/channels/" + channel }

// accountOf undoes sourceOf.
func accountOf(source string) (string, bool) {
	rest, ok := strings.CutPrefix(source, "/accounts/")
	if !ok {
		return "", false
	}
	account, _, ok := strings.Cut(rest, "/channels/")
	return account, ok && account != ""
}

// Decode reads the log's form of an event. A type that is not known is data and
// no failure: it comes as domain.Unknown. An error means that the record is not
// what its envelope says, and that no later try will read it.
func Decode(msg *message.Message, position Position) (domain.Recorded, error) {
	var r domain.Recorded
	partition, offset, ok := position(msg)
	if !ok {
		return r, fmt.Errorf("decode record %s: it has no position", msg.UUID)
	}
	r.Position = domain.Position{Partition: partition, Offset: offset}
	wrong := func(what string, err error) (domain.Recorded, error) {
		return r, fmt.Errorf("decode record %d:%d: %s: %w", partition, offset, what, err)
	}
	if msg.Metadata.Get(headerSpecVersion) != specVersion {
		return wrong(headerSpecVersion, errVersion)
	}
	id, err := uuid.Parse(msg.UUID)
	if err != nil {
		return wrong("ce_id", err)
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Metadata.Get(headerTime))
	if err != nil {
		return wrong(headerTime, err)
	}
	channel, ref, ok := domain.SplitStream(msg.Metadata.Get(headerSubject))
	if !ok || channel == "" || ref == "" {
		return wrong(headerSubject, errNoStream)
	}
	account, ok := accountOf(msg.Metadata.Get(headerSource))
	if !ok {
		return wrong(headerSource, errNoAccount)
	}
	r.Event = domain.Event{
		ID: id, Account: account, Channel: channel, ContactRef: ref, Time: at.UTC(),
		Dialect: domain.Dialect(msg.Metadata.Get(headerDialect)),
	}
	stored := msg.Metadata.Get(headerType)
	if stored == "" {
		return wrong(headerType, errNoType)
	}
	if r.Data, err = domain.DecodeData(stored, msg.Payload); err != nil {
		return wrong("value", err)
	}
	return r, nil
}

type constError string

func (e constError) Error() string { return string(e) }

const (
	errVersion   = constError(`is not "1.0"`)
	errNoType    = constError("names no stored type")
	errNoStream  = constError(`is not "<channel>/<contact reference>"`)
	errNoAccount = constError(`is not "/accounts/<account>/channels/<channel>"`)
)
