package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/eventstore"
)

// poisonFaults are the cases in which the log holds what nobody can read.
func poisonFaults() []fault {
	return []fault{{
		name: "poison", promise: "one stream is held and shown, others go on", beside: true,
		breaks: "records of an unreadable value, of a wrong envelope, of an unknown version and of an unknown type, in four conversations",
		logs:   []string{onEmbedded, onKafka}, rounds: 50, play: poison,
		without: "the quarantine: nothing is listed within 10 s",
	}}
}

// dose is a record that is not as it should be.
type dose struct {
	name, kind, version, value string
	held                       bool // its stream waits for an operator
}

func doses() []dose {
	return []dose{
		{name: "unreadable value", kind: "conversation.closed.v1", version: "1.0", value: `{"id": 7, "text`, held: true},
		{name: "wrong envelope", kind: "conversation.closed.v1", version: "0.3", value: `{}`, held: true},
		{name: "unknown version", kind: "receipt.recorded.v9", version: "1.0", value: `{"what":"nobody knows"}`},
		{name: "unknown type", kind: "weather.changed.v1", version: "1.0", value: `{"sun":true}`},
	}
}

// poison puts records into conversations under load. Those that cannot be read hold
// up their own conversation until an operator has them skipped; names that are not
// known hold up nothing.
func poison(ctx context.Context, r *run) error {
	s, err := r.alike(ctx, 1)
	if err != nil {
		return err
	}
	hooks, err := s.newReceiver(ctx, 5*time.Millisecond)
	if err != nil {
		return err
	}
	ch, err := s.makeChannel(ctx, hooks.url())
	if err != nil {
		return err
	}
	log, err := kafka.NewPublisher(kafka.PublisherConfig{Brokers: s.brokers, Key: eventstore.PartitionKey})
	if err != nil {
		return err
	}
	r.onEnd(log.Close)
	var shown time.Duration
	err = s.each(ctx, func(ctx context.Context, n int) error {
		t := s.begin(ctx, ch, hooks, fmt.Sprintf("r%02d", n))
		err := func() error {
			defer t.end()
			if err := t.reached(ctx, contacts*3); err != nil {
				return err
			}
			took, err := s.poisoned(ctx, t, log)
			shown = max(shown, took)
			return err
		}()
		if err != nil {
			return err
		}
		s.sayf("round %d/%d: %d accepted", n+1, s.rounds, t.accepted.Load())
		return t.check(ctx)
	})
	r.result.notef("a record that cannot be read was in the list of both projections within %s; 2 of 4 conversations were held until the record was skipped", shown.Round(10*time.Millisecond))
	return err
}

// poisoned gives each dose to a contact, and has an operator mend what is held. It
// tells how long it took until all was to be seen.
func (s *stand) poisoned(ctx context.Context, t *traffic, log *kafka.Publisher) (time.Duration, error) {
	given, held := time.Now(), 0
	for i, d := range doses() {
		msg := message.NewMessage(uuid.NewString(), message.Payload(d.value))
		msg.Metadata = message.Metadata{
			"ce_specversion": d.version, "ce_type": d.kind, "ce_source": "/accounts/default/channels/" + t.channel.ID,
			"ce_subject": fmt.Sprintf("%s/%s_c%02d", t.channel.ID, t.prefix, i), "ce_time": given.UTC().Format(time.RFC3339Nano),
			"ce_parleydialect": "respondio", "content-type": "application/json",
		}
		msg.SetContext(ctx)
		if err := log.Publish(eventstore.EventsTopic(s.setting("PARLEY_TOPIC_PREFIX")), msg); err != nil { //nolint:contextcheck // it has a bound of its own
			return 0, fmt.Errorf("give %s: %w", d.name, err)
		}
		if d.held {
			held += 2 // the conversations' and the deliveries' projection
		}
	}
	// The metric is asked first: each look at the list is a process of its own.
	err := until(ctx, 10*time.Second, 20*time.Millisecond, "a metric tells of what cannot be read", func() (bool, error) {
		n, err := s.heldStreams(ctx)
		return n >= held, err
	})
	var list [][]string
	if err == nil {
		list, err = s.quarantined(ctx)
	}
	shown := time.Since(given)
	if err != nil {
		return shown, err
	}
	if len(list) != held {
		s.result.problemf("%d records are in the list, not %d: %v", len(list), held, list)
	}
	n, err := s.heldStreams(ctx)
	if err != nil {
		return shown, err
	}
	if n != held {
		s.result.problemf("the metric tells of %d held streams, not %d", n, held)
	}
	// Whoever is not held is told what is said now; whoever is held is not.
	before := len(t.toldTo(0)) + len(t.toldTo(1))
	others := make([]int, t.contacts)
	for c := range others {
		others[c] = len(t.toldTo(c))
	}
	err = until(ctx, 20*time.Second, 50*time.Millisecond, "the others are told", func() (bool, error) {
		for c := 2; c < t.contacts; c++ {
			if len(t.toldTo(c)) < others[c]+2 {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return shown, err
	}
	if after := len(t.toldTo(0)) + len(t.toldTo(1)); after != before {
		s.result.problemf("%d replies went past a record that cannot be read", after-before)
	}
	for _, q := range list {
		if err := s.operator(ctx, "projections", "skip", q[0], q[1]); err != nil {
			return shown, err
		}
	}
	return shown, nil
}

// toldTo is what the receiver has taken for a contact.
func (t *traffic) toldTo(c int) []string { return t.told()[fmt.Sprintf("%s_c%02d", t.prefix, c)] }

// setting is what the nodes were given last.
func (s *stand) setting(name string) (value string) {
	for _, v := range s.env {
		if rest, ok := strings.CutPrefix(v, name+"="); ok {
			value = rest
		}
	}
	return value
}

// operator runs a command of Parley.
func (s *stand) operator(ctx context.Context, args ...string) error {
	_, err := s.asked(ctx, args...)
	return err
}

func (s *stand) asked(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.parley, args...)
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("parley %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// quarantined lists what is held, each with the projection and the position first.
func (s *stand) quarantined(ctx context.Context) (list [][]string, err error) {
	out, err := s.asked(ctx, "projections", "quarantine")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) > 3 && strings.Contains(words[1], ":") {
			list = append(list, words)
		}
	}
	return list, nil
}

// heldStreams is how many streams the node's metrics tell of that wait for an
// operator.
func (s *stand) heldStreams(ctx context.Context) (sum int, err error) {
	status, raw, err := call(ctx, s.nodes[0].url(), "", http.MethodGet, "/metrics", "")
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("read metrics: %d %w", status, errors.Join(err))
	}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "parley_projection_held_streams") {
			words := strings.Fields(line)
			var n int
			if _, err := fmt.Sscanf(words[len(words)-1], "%d", &n); err == nil {
				sum += n
			}
		}
	}
	return sum, nil
}
