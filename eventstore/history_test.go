package eventstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// exported is what these tests look at in a line.
type exported struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	ParleyDialect   string          `json:"parleydialect"`
	Partition       int             `json:"partition"`
	Offset          int64           `json:"offset"`
	Data            json.RawMessage `json:"data"`
}

func export(t *testing.T, h *eventstore.History, f domain.EventFilter) []exported {
	t.Helper()
	var list []exported
	if err := h.Export(t.Context(), f, func(line []byte) error {
		if bytes.ContainsAny(line, "\n\r") {
			t.Errorf("a line with a break: %q", line)
		}
		var e exported
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		list = append(list, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// past is a log of 10 contacts on 2 channels of 2 accounts, with 12 events each.
type past struct {
	*testLog
	*eventstore.History
	all []exported
}

func newPast(t *testing.T) *past {
	t.Helper()
	p := &past{testLog: newTestLog(t)}
	store := p.store(t, prometheus.NewRegistry())
	channels := []domain.Channel{
		{ID: "620418", Account: "default", Dialect: domain.DialectRespondIO},
		{ID: "6204", Account: "other", Dialect: domain.DialectISMessenger}, // a prefix of the first
	}
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for n := range 60 {
		for i, ch := range channels {
			now := start.Add(time.Duration(2*n+i) * time.Second)
			ref := fmt.Sprintf("+1555010%d", n%5)
			text := domain.Content{Type: domain.ContentText, Text: fmt.Sprint(n)}
			event := ch.Receive(ref, fmt.Sprint(n), now, text, nil, now)
			if n%3 == 0 {
				event = ch.Receipt(ref, fmt.Sprint(n), domain.StatusRead, "", now, now)
			}
			if _, err := store.Append(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.History = eventstore.NewHistory(p.events, p.Log, kafka.PositionOf)
	p.all = export(t, p.History, domain.EventFilter{})
	return p
}

// Ensure that an export has every event once: in the order of the log within a
// stream, and in the order of time over the partitions.
func TestHistoryIsWholeAndInOrder(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	if len(p.all) != 120 {
		t.Fatalf("%d events, want 120", len(p.all))
	}
	partitions, offsets := map[int]bool{}, map[string]int64{}
	for i, e := range p.all {
		partitions[e.Partition] = true
		if i > 0 && e.Time < p.all[i-1].Time {
			t.Errorf("%s comes after %s", e.Time, p.all[i-1].Time)
		}
		if last, ok := offsets[e.Subject]; ok && e.Offset <= last {
			t.Errorf("offset %d of stream %s comes after %d", e.Offset, e.Subject, last)
		}
		offsets[e.Subject] = e.Offset
	}
	if len(partitions) < 2 || len(offsets) != 10 {
		t.Errorf("%d partitions and %d streams: the test must see several", len(partitions), len(offsets))
	}
	e := p.all[0]
	if e.SpecVersion != "1.0" || e.DataContentType != "application/json" || e.ParleyDialect != "respondio" || uuid.Validate(e.ID) != nil {
		t.Errorf("the first line is no CloudEvent: %+v", e)
	}
}

// Ensure that each filter leaves exactly what it names.
func TestHistoryFilters(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	middle := p.all[70]
	for _, c := range []struct {
		name   string
		filter domain.EventFilter
		want   func(exported) bool
	}{
		{"channel", domain.EventFilter{Channel: "6204"}, func(e exported) bool { return strings.HasPrefix(e.Subject, "6204/") }},
		{"account", domain.EventFilter{Account: "default"}, func(e exported) bool { return strings.HasPrefix(e.Subject, "620418/") }},
		{"channel of another account", domain.EventFilter{Account: "other", Channel: "620418"}, func(exported) bool { return false }},
		{"type", domain.EventFilter{Type: "receipt.recorded.v1"}, func(e exported) bool { return e.Type == "receipt.recorded.v1" }},
		{"beginning of a type", domain.EventFilter{Type: "message"}, func(e exported) bool { return e.Type == "message.received.v1" }},
		{"beginning of a type with its dot", domain.EventFilter{Type: "message."}, func(e exported) bool { return e.Type == "message.received.v1" }},
		{"a part of a word", domain.EventFilter{Type: "mess"}, func(exported) bool { return false }},
		{"stream", domain.EventFilter{Stream: "620418/+15550103"}, func(e exported) bool { return e.Subject == "620418/+15550103" }},
		{"from a position", domain.EventFilter{FromPosition: &domain.Position{Partition: middle.Partition, Offset: middle.Offset}},
			func(e exported) bool { return e.Partition == middle.Partition && e.Offset >= middle.Offset }},
		{"to a position", domain.EventFilter{ToPosition: &domain.Position{Partition: middle.Partition, Offset: middle.Offset}},
			func(e exported) bool { return e.Partition == middle.Partition && e.Offset < middle.Offset }},
		{"between positions", domain.EventFilter{
			FromPosition: &domain.Position{Partition: middle.Partition, Offset: 2}, ToPosition: &domain.Position{Partition: middle.Partition, Offset: 5},
		}, func(e exported) bool { return e.Partition == middle.Partition && e.Offset >= 2 && e.Offset < 5 }},
		{"a partition that is not there", domain.EventFilter{FromPosition: &domain.Position{Partition: 99}}, func(exported) bool { return false }},
		{"beyond the end", domain.EventFilter{ToPosition: &domain.Position{Partition: middle.Partition, Offset: 1 << 40}},
			func(e exported) bool { return e.Partition == middle.Partition }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := slices.DeleteFunc(slices.Clone(p.all), func(e exported) bool { return !c.want(e) })
			if diff := cmp.Diff(want, export(t, p.History, c.filter), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Ensure that a moment cuts the log in two that have all events between them.
func TestHistoryByTime(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	times := map[time.Time]bool{}
	for partition, end := range mustEnds(t, p.testLog) {
		for msg, err := range p.Scan(t.Context(), p.events, partition, 0, end) {
			if err != nil {
				t.Fatal(err)
			}
			record, _ := kafka.RecordOf(msg)
			times[record.Time] = true
		}
	}
	moments := slices.SortedFunc(maps.Keys(times), time.Time.Compare)
	for _, moment := range []time.Time{moments[0], moments[len(moments)/2], moments[len(moments)-1].Add(time.Hour)} {
		before, after := export(t, p.History, domain.EventFilter{To: moment}), export(t, p.History, domain.EventFilter{From: moment})
		ids := map[string]int{}
		for _, e := range append(before, after...) {
			ids[e.ID]++
		}
		if len(ids) != 120 || len(before)+len(after) != 120 {
			t.Errorf("at %s: %d before, %d after, %d events in all", moment, len(before), len(after), len(ids))
		}
	}
	if from := export(t, p.History, domain.EventFilter{From: moments[0]}); len(from) != 120 {
		t.Errorf("from the first moment on: %d events", len(from))
	}
}

func mustEnds(t *testing.T, log *testLog) map[int]int64 {
	t.Helper()
	ends, err := log.Ends(t.Context(), log.events)
	if err != nil {
		t.Fatal(err)
	}
	return ends
}

// Ensure that a record of somebody else is shown as text to those who see all, and
// to no account.
func TestHistoryForeignRecord(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	for _, payload := range []string{"not\nJSON", "{\"a\":\n\"\xff\"}", `{"a": 1}`} {
		msg := message.NewMessage(watermill.NewUUID(), []byte(payload))
		msg.Metadata["ce_subject"] = "x"
		if err := log.publisher.Publish(log.events, msg); err != nil {
			t.Fatal(err)
		}
	}
	h := eventstore.NewHistory(log.events, log.Log, kafka.PositionOf)
	var data []string
	for _, e := range export(t, h, domain.EventFilter{}) {
		data = append(data, string(e.Data))
	}
	if diff := cmp.Diff([]string{`"not\nJSON"`, `"{\"a\":\n\"` + "\uFFFD" + `\"}"`, `{"a":1}`}, unescaped(data)); diff != "" {
		t.Error(diff)
	}
	if list := export(t, h, domain.EventFilter{Account: "default"}); len(list) != 0 {
		t.Errorf("an account sees %+v", list)
	}
}

// unescaped writes the replacement character as itself.
func unescaped(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ReplaceAll(s, `\ufffd`, "\uFFFD")
	}
	return out
}

// Ensure that who takes the lines can end the walk, and gets its own error.
func TestHistoryEndsWithItsReader(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	enough, lines := errors.New("enough"), 0
	err := p.Export(t.Context(), domain.EventFilter{}, func([]byte) error {
		lines++
		if lines == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || lines != 3 {
		t.Errorf("after %d lines: %v", lines, err)
	}
}

// Ensure that an append tells where its events stand, counts them, and tells a log
// that is away from events that are too large.
func TestAppend(t *testing.T) {
	t.Parallel()
	log, reg := newTestLog(t), prometheus.NewRegistry()
	store := log.store(t, reg)
	foreign := ordinary()
	foreign.Data = domain.Unknown{Type: "message.pinned.v1", Raw: json.RawMessage("{}")}
	positions, err := store.Append(t.Context(), ordinary(), foreign, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	if len(positions) != 3 || positions[2].Offset != positions[0].Offset+2 || positions[2].Partition != positions[0].Partition {
		t.Errorf("events of one stream stand at %v", positions)
	}
	if positions, err := store.Append(t.Context()); err != nil || len(positions) != 0 {
		t.Errorf("nothing appended: %v, %v", positions, err)
	}
	large := ordinary()
	large.Data = domain.MessageReceived{Content: domain.Content{Text: strings.Repeat("x", 2<<20)}}
	if _, err := store.Append(t.Context(), large); domain.CodeOf(err) != domain.CodeTooLarge {
		t.Errorf("2 MiB: %v", err)
	}
	if err := log.publisher.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), ordinary()); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("the log is away: %v", err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP parley_events_refused_total Events that the log did not acknowledge; they may or may not be there.
# TYPE parley_events_refused_total counter
parley_events_refused_total 2
`), "parley_events_refused_total"); err != nil {
		t.Error(err)
	}
	for stored, want := range map[string]float64{"message.received.v1": 2, "unknown": 1, "delivery.dropped.v1": 0} {
		if got := counted(t, reg, stored); got != want {
			t.Errorf("%s is counted %g times, want %g", stored, got, want)
		}
	}
}

// counted is the count of appended events of a stored name.
func counted(t *testing.T, reg prometheus.Gatherer, stored string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "parley_events_appended_total" && metric.GetLabel()[0].GetValue() == stored {
				return metric.GetCounter().GetValue()
			}
		}
	}
	t.Errorf("%s is not among the metrics", stored)
	return 0
}
