package eventstore_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// Ensure that a record says what it is keyed by where that is not its stream, and
// only there, and that this survives the way through the log.
func TestPartitionKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z0-9]{1,8}`)
		e := domain.Event{
			ID: id(word.Draw(t, "id")), Account: word.Draw(t, "account"), Channel: word.Draw(t, "channel"), ContactRef: word.Draw(t, "ref"),
			Dialect: rapid.SampledFrom(append([]domain.Dialect{""}, domain.Dialects...)).Draw(t, "dialect"),
			Time:    time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC),
			Data: rapid.SampledFrom([]domain.Data{
				domain.ContactRemoved{Person: 1}, domain.ConversationTurned{}, domain.DeliveryDropped{Target: domain.WebhookTarget("acme", 2)},
			}).Draw(t, "data"),
		}
		want := e.Stream()
		if e.Dialect == domain.DialectChannelX {
			want = "account/" + e.Account
		}
		msg, err := eventstore.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := eventstore.PartitionKey(msg); got != want || eventstore.Key(msg) != e.Stream() {
			t.Errorf("the record of %s is keyed by %q, want %q; its subject is %q", e.Stream(), got, want, eventstore.Key(msg))
		}
		if header, said := msg.Metadata["ce_partitionkey"]; said != (want != e.Stream()) || header != "" && header != want {
			t.Errorf("ce_partitionkey is %q (%t)", header, said)
		}
		read, err := eventstore.Decode(msg, at)
		if err != nil || read.PartitionKey() != want {
			t.Errorf("it is read with the key %q, want %q (%v)", read.PartitionKey(), want, err)
		}
	})
}

// Ensure that all that is told of an account's people and tickets is one partition,
// in the order in which it was appended, whatever the streams are called, and that
// one append of it is all or nothing because it is one batch.
func TestAccountIsOnePartition(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	partitions := map[int]bool{}
	for _, account := range []string{"acme", "umbra", "zenith", "default", "other", "beta", "gamma"} {
		var events []domain.Event
		for i := range 40 {
			identity := domain.Identity{ID: int64(i), Channel: string(rune('a' + i%5)), SourceID: string(rune('a' + i%17))}
			e, person := identity.About(account, now), domain.Person{ID: int64(i)}.About(account, now)
			e.ID, person.ID = id(account+e.Stream()), id(account+person.Stream())
			e.Data, person.Data = domain.ContactLinked{Identity: identity}, domain.ContactRemoved{Person: int64(i)}
			events = append(events, e, person)
		}
		positions, err := store.Append(t.Context(), events...)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range positions {
			if first := positions[0]; p.Partition != first.Partition || p.Offset != first.Offset+int64(i) {
				t.Fatalf("%s: event %d is at %v, the first at %v", account, i, p, first)
			}
		}
		partition, end, err := log.EndOf(t.Context(), log.events, domain.AccountKey(account))
		if err != nil || partition != positions[0].Partition || end <= positions[len(positions)-1].Offset {
			t.Errorf("%s is said to be in partition %d up to %d (%v), and ends at %v", account, partition, end, err, positions[len(positions)-1])
		}
		partitions[partition] = true
	}
	if len(partitions) < 2 {
		t.Error("all accounts are in one partition")
	}
}

// Ensure that the history of one stream of an account is found among the others of
// its partition, and that the lines tell the key.
func TestHistoryOfAccount(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	store := log.store(t, prometheus.NewRegistry())
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	var events []domain.Event
	for i, source := range []string{"dev-1", "dev-2", "dev-1"} {
		e := domain.Identity{ID: int64(i), Channel: "1001", SourceID: source}.About("acme", now.Add(time.Duration(i)*time.Second))
		e.ID, e.Data = id(source+string(rune('0'+i))), domain.ContactLinked{Identity: domain.Identity{ID: int64(i)}}
		events = append(events, e)
	}
	if _, err := store.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	history := eventstore.NewHistory(log.events, log.Log, kafka.PositionOf)
	for f, want := range map[domain.EventFilter][]string{
		{Stream: "1001/dev-1"}:               {"1001/dev-1", "1001/dev-1"},
		{Channel: "1001"}:                    {"1001/dev-1", "1001/dev-2", "1001/dev-1"},
		{Account: "acme", Type: "contact"}:   {"1001/dev-1", "1001/dev-2", "1001/dev-1"},
		{Channel: domain.PeopleChannel("x")}: nil,
	} {
		var got []string
		err := history.Export(t.Context(), f, func(line []byte) error {
			var l struct {
				Subject string `json:"subject"`
				Key     string `json:"partitionkey"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				return err
			}
			if l.Key != "account/acme" {
				t.Errorf("a line has the key %q", l.Key)
			}
			got = append(got, l.Subject)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v gives %q, want %q (%v)", f, got, want, err)
		}
	}
}
