package projections_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
	"github.com/parley-im/parley/projections"
)

// spoil appends a record that is not what its envelope says.
func (r *rig) spoil(t testing.TB, event domain.Event, how func(*message.Message)) domain.Position {
	t.Helper()
	msg, err := eventstore.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	how(msg)
	if err := r.publisher.Publish(r.topic, msg); err != nil {
		t.Fatal(err)
	}
	number, offset, _ := kafka.PositionOf(msg)
	return domain.Position{Partition: number, Offset: offset}
}

func noJSON(msg *message.Message) { msg.Payload = []byte("{not JSON") }

func (r *rig) decide(t testing.TB, at domain.Position, verdict string) {
	t.Helper()
	if err := projections.Decide(t.Context(), r.pool, "counter", at, verdict); err != nil {
		t.Fatal(err)
	}
}

// trail is what the rows hold of a contact.
func (r *rig) trail(t testing.TB, contact int) string {
	t.Helper()
	return strings.Join(r.trails(t)[written(contact, "").Stream()], " ")
}

// stream is the one of a contact.
func stream(contact int) string { return written(contact, "").Stream() }

// Ensure that a record that cannot be read holds its stream and no other, is told
// with its reason, and that its followers come behind it in order once it is
// skipped.
func TestQuarantineUnreadableRecordSkipped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t, counter{}, nil)
	r.write(t, written(1, "a"), written(2, "a"))
	at := r.spoil(t, written(1, "b"), noJSON)
	r.write(t, written(1, "c"), written(2, "b"), written(1, "d"))
	r.settled(t, stream(1))
	if got := r.trail(t, 1); got != "a" {
		t.Errorf("the held stream has %q, want a", got)
	}
	list := r.quarantined(t)
	if len(list) != 1 || list[0].Offset != at.Offset || list[0].Stream != stream(1) || !strings.Contains(list[0].Error, "value") {
		t.Fatalf("in quarantine: %+v", list)
	}
	until(t, "the held stream is shown", func() bool { return p.metric(t, "parley_projection_held_streams") == 1 })
	r.decide(t, at, projections.VerdictSkip)
	until(t, "the stream goes on", func() bool { return r.trail(t, 1) == "a c d" })
	until(t, "no stream is shown as held", func() bool { return p.metric(t, "parley_projection_held_streams") == 0 })
	r.write(t, written(1, "e"))
	r.settled(t)
	if list := r.quarantined(t); len(list) != 0 {
		t.Errorf("in quarantine: %+v", list)
	}
}

// Ensure that a record that Postgres refuses is found in its batch, wherever it
// stands, that the others of the batch are applied, and that a retry comes before
// those that waited.
func TestQuarantineRefusedRecordRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bad := []domain.Event{written(1, "bad"), written(3, "bad")}
	for _, event := range bad {
		r.refuse(t, event.ID, true)
	}
	events := make([]domain.Event, 0, 120)
	for i := range 20 {
		for contact := range 5 {
			events = append(events, written(contact, fmt.Sprint(i)))
		}
		switch i {
		case 7:
			events = append(events, bad[0])
		case 12:
			events = append(events, bad[1])
		}
	}
	r.write(t, events...) // before the process: they come as full batches
	r.start(t, counter{}, nil)
	r.settled(t, stream(1), stream(3))
	list := r.quarantined(t)
	if len(list) != 2 {
		t.Fatalf("in quarantine: %+v", list)
	}
	for _, q := range list {
		if !strings.Contains(q.Error, "22012") {
			t.Errorf("the reason is %q", q.Error)
		}
	}
	// A retry that fails again leaves everything as it was.
	at := func(event domain.Event) domain.Position {
		for _, q := range r.quarantined(t) {
			if q.Stream == event.Stream() {
				return domain.Position{Partition: q.Partition, Offset: q.Offset}
			}
		}
		t.Fatalf("%s is not in quarantine", event.Stream())
		return domain.Position{}
	}
	r.decide(t, at(bad[0]), projections.VerdictRetry)
	until(t, "the retry has failed", func() bool {
		for _, q := range r.quarantined(t) {
			if q.Stream == stream(1) {
				return q.Verdict == ""
			}
		}
		return false
	})
	for i, event := range bad {
		r.refuse(t, event.ID, false)
		r.decide(t, at(bad[i]), projections.VerdictRetry)
	}
	until(t, "nothing is in quarantine", func() bool { return len(r.quarantined(t)) == 0 })
	until(t, "the streams are whole", func() bool {
		trails := r.trails(t)
		return len(trails[stream(1)]) == 21 && len(trails[stream(3)]) == 21
	})
	r.settled(t)
}

// Ensure that what is held is held on by the next process, also when the
// transaction that was to keep it failed at first.
func TestQuarantineSurvivesRestart(t *testing.T) {
	t.Parallel()
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			at := r.spoil(t, written(1, "bad"), noJSON)
			r.write(t, written(1, "a"), written(2, "a"))
			cut := &wire{}
			cut.cutAt(step.words, step.after)
			first := r.startOver(t, counter{}, cut)
			r.settled(t, stream(1))
			if list := r.quarantined(t); len(list) != 1 {
				t.Fatalf("for an operator: %+v", list)
			}
			first.stop()
			third := r.start(t, counter{}, nil)
			r.write(t, written(1, "b"), written(2, "b"))
			r.settled(t, stream(1))
			if got := r.trail(t, 1); got != "" {
				t.Errorf("the held stream has %q", got)
			}
			r.decide(t, at, projections.VerdictSkip)
			until(t, "the stream goes on", func() bool { return r.trail(t, 1) == "a b" })
			third.stop()
		})
	}
}

// Ensure that more followers than one transaction takes come out in order.
func TestQuarantineReleasesLongStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := r.spoil(t, written(1, "bad"), noJSON)
	for part := range 3 {
		events := make([]domain.Event, 400)
		for i := range events {
			events[i] = written(1, fmt.Sprintf("%d-%d", part, i))
		}
		r.write(t, events...)
	}
	r.start(t, counter{}, nil)
	r.settled(t, stream(1))
	r.decide(t, at, projections.VerdictSkip)
	until(t, "all are out", func() bool { return len(r.trails(t)[stream(1)]) == 1200 })
	r.settled(t)
}

// Ensure that nothing that a record can hold ends the process or stops the
// partition.
func TestQuarantineTakesAnything(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	projection := counter{before: func(events []domain.Recorded) {
		for _, e := range events {
			if e.Data.(domain.MessageReceived).ExternalID == "panic" {
				panic("a fold that was not thought of")
			}
		}
	}}
	r.start(t, projection, nil)
	header := func(name, value string) func(*message.Message) {
		return func(msg *message.Message) { msg.Metadata[name] = value }
	}
	spoiled := []domain.Position{
		r.spoil(t, written(1, "panic"), func(*message.Message) {}),
		r.spoil(t, written(2, "x"), header("ce_subject", "620418/\xff\x00")),
		r.spoil(t, written(9, "x"), func(msg *message.Message) { msg.Metadata["ce_subject"] = "620418/\xfe\x00"; noJSON(msg) }),
		r.spoil(t, written(3, "x"), header("ce_subject", "")),
		r.spoil(t, written(4, "x"), header("ce_time", "\x00\xff")),
		r.spoil(t, written(5, "x"), header("x\x00", "\xff\x00")), // harmless
		r.spoil(t, written(6, "x"), func(msg *message.Message) { msg.UUID = "\x00\xff" }),
		r.spoil(t, written(7, "x\x00"), func(*message.Message) {}), // Postgres has no such text
		r.spoil(t, written(8, "x"), func(msg *message.Message) { msg.Payload = []byte("null") }),
	}
	for contact := range 12 {
		r.write(t, written(20+contact, "a"))
	}
	r.settled(t)
	if list := r.quarantined(t); len(list) != len(spoiled)-1 {
		t.Errorf("%d records are in quarantine, want %d: %+v", len(list), len(spoiled)-1, list)
	}
	for _, q := range r.quarantined(t) {
		r.decide(t, domain.Position{Partition: q.Partition, Offset: q.Offset}, projections.VerdictSkip)
	}
	until(t, "nothing is in quarantine", func() bool { return len(r.quarantined(t)) == 0 })
}

// Ensure that a verdict is one of two, about a record that is there.
func TestQuarantineDecide(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	nowhere := domain.Position{Partition: 1, Offset: 7}
	err := projections.Decide(t.Context(), r.pool, "counter", nowhere, projections.VerdictSkip)
	if domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("a record that is not there: %v", err)
	}
	err = projections.Decide(t.Context(), r.pool, "counter", nowhere, "forget")
	if e, ok := errors.AsType[*domain.Error](err); !ok || e.Code != domain.CodeInvalid {
		t.Errorf("another verdict: %v", err)
	}
}

// Ensure that the lag is zero when there is none, grows in seconds while the
// database is away, for a process that starts meanwhile too, and is gone with it.
func TestLag(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t, counter{}, nil)
	seconds := func(p *process) float64 { return p.metric(t, "parley_projection_lag_seconds") }
	records := func(p *process) float64 { return p.metric(t, "parley_projection_lag_records") }
	r.writeMany(t, 100)
	r.settled(t)
	until(t, "there is no lag", func() bool { return seconds(p) == 0 && records(p) == 0 })
	p.wire.setAway(true)
	r.writeMany(t, 100)
	until(t, "the lag is seen", func() bool { return seconds(p) > 2 && records(p) >= 100 })
	p.wire.setAway(false)
	r.settled(t)
	until(t, "the lag is gone", func() bool { return seconds(p) == 0 && records(p) == 0 })
	p.stop()

	r.writeMany(t, 100)
	cut := &wire{away: true}
	late := r.startOver(t, counter{}, cut)
	until(t, "the lag of a process without a database is seen", func() bool { return seconds(late) > 2 })
	cut.setAway(false)
	r.settled(t)
	until(t, "the lag is gone", func() bool { return seconds(late) == 0 && records(late) == 0 })
}
