package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/adapters/kafka"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// aChannel is one that its account could create.
func aChannel(id, token string) domain.Channel {
	return domain.Channel{
		ID: id, Account: "default", Dialect: domain.DialectRespondIO, Name: "Shop " + id, CallbackURL: "https://example.com/hook",
		IDType: domain.IDTypePhone, RatePerSecond: 20, Credentials: domain.Credentials{APIToken: token},
		Delivery: domain.DeliveryPolicy{Schedule: []time.Duration{time.Second, 5 * time.Second}, MaxAge: time.Hour},
	}
}

// follower is a registry that follows the log of a test, and what it logs.
type follower struct {
	*eventstore.Registry
	logged *bytes.Buffer // to be read when stopped
	stop   func()
}

func (l *testLog) registry(t testing.TB, sealer *eventstore.Sealer, fixed ...domain.Token) *follower {
	t.Helper()
	return l.registryAt(t, time.Now, sealer, fixed...)
}

func (l *testLog) registryAt(t testing.TB, now func() time.Time, sealer *eventstore.Sealer, fixed ...domain.Token) *follower {
	t.Helper()
	f := &follower{logged: &bytes.Buffer{}}
	f.Registry = eventstore.NewRegistry(eventstore.RegistryConfig{
		Topic: l.channels, Publisher: l.publisher, Position: kafka.PositionOf, Sealer: sealer, Now: now,
		Logger: slog.New(slog.NewTextHandler(f.logged, nil)), Fixed: fixed,
	})
	msgs, stop := l.read(t, l.channels)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Follow(msgs)
	}()
	f.stop = func() { stop(); <-done }
	t.Cleanup(f.stop)
	f.catchUp(t, l)
	return f
}

// catchUp waits until the registry has what the log holds now.
func (f *follower) catchUp(t testing.TB, l *testLog) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := l.Ends(ctx, l.channels)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Reached(ctx, ends[0]); err != nil {
		t.Fatal(err)
	}
}

func (f *follower) create(t *testing.T, ch domain.Channel) domain.Channel {
	t.Helper()
	created, err := f.CreateChannel(t.Context(), ch)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (f *follower) rotate(t *testing.T, id, token string) {
	t.Helper()
	if _, err := f.ChangeChannel(t.Context(), id, func(ch *domain.Channel) error {
		ch.Credentials.APIToken = token
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// opens tells which channel a token belongs to, "" for none.
func (f *follower) opens(token string) string {
	ch, _ := f.ChannelByToken(token)
	return ch.ID
}

// Ensure that a change is visible on the node that made it as soon as it is answered.
func TestRegistryChannelLife(t *testing.T) {
	t.Parallel()
	r := newTestLog(t).registry(t, newSealer(t, key(1)))
	created := r.create(t, aChannel("620418", "token-1"))
	if created.Revision != 1 || created.CreatedAt.IsZero() || r.opens("token-1") != "620418" {
		t.Errorf("created %+v, token-1 opens %q", created, r.opens("token-1"))
	}
	if _, err := r.CreateChannel(t.Context(), aChannel("620418", "token-9")); domain.CodeOf(err) != domain.CodeConflict {
		t.Errorf("created twice: %v", err)
	}
	changed, err := r.ChangeChannel(t.Context(), "620418", func(ch *domain.Channel) error {
		ch.Name, ch.ID, ch.Revision = "New name", "somewhere else", 99
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	known, _ := r.Channel("620418")
	if diff := cmp.Diff(changed, known); diff != "" || known.Name != "New name" || known.Revision != 2 {
		t.Errorf("known is %+v:\n%s", known, diff)
	}
	for name, change := range map[string]func(*domain.Channel) error{
		"invalid":      func(ch *domain.Channel) error { ch.CallbackURL = "not a URL"; return nil },
		"changed mind": func(ch *domain.Channel) error { ch.Name = "Other"; return errors.New("no") },
	} {
		if _, err := r.ChangeChannel(t.Context(), "620418", change); err == nil {
			t.Errorf("%s: it was changed", name)
		}
	}
	if again, _ := r.Channel("620418"); again.Revision != 2 {
		t.Errorf("a change that failed was kept: %+v", again)
	}

	r.rotate(t, "620418", "token-2")
	if r.opens("token-1") != "" || r.opens("token-2") != "620418" {
		t.Errorf("after rotation token-1 opens %q and token-2 %q", r.opens("token-1"), r.opens("token-2"))
	}
	if err := r.DeleteChannel(t.Context(), "620418"); err != nil {
		t.Fatal(err)
	}
	if _, there := r.Channel("620418"); there || r.opens("token-2") != "" || len(r.Channels("")) != 0 {
		t.Error("the channel is there after it was deleted")
	}
	_, err = r.ChangeChannel(t.Context(), "620418", func(*domain.Channel) error { return nil })
	for _, err := range []error{err, r.DeleteChannel(t.Context(), "620418")} {
		if domain.CodeOf(err) != domain.CodeNotFound {
			t.Errorf("a channel that is gone: %v", err)
		}
	}
	if created := r.create(t, aChannel("620418", "token-3")); created.Revision != 1 {
		t.Errorf("an id that is free again: %+v", created)
	}
}

// Ensure that channels and tokens come back from the log alone, secrets with them,
// and that what was deleted does not.
func TestRegistrySurvivesRestart(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	before := log.registry(t, newSealer(t, key(1)))
	before.create(t, aChannel("1", "token-1"))
	before.create(t, aChannel("2", "token-2"))
	other := aChannel("3", "token-3")
	other.Account, other.Delivery = "other", domain.DeliveryPolicy{Schedule: []time.Duration{}}
	before.create(t, other)
	before.rotate(t, "1", "token-1b")
	if err := before.DeleteChannel(t.Context(), "2"); err != nil {
		t.Fatal(err)
	}
	kept, gone := domain.Token{ID: "a", Account: "default", Name: "desk", Role: domain.RoleAgent, Hash: domain.HashSecret("alpha")},
		domain.Token{ID: "b", Account: "default", Name: "old", Role: domain.RoleAdmin, Hash: domain.HashSecret("beta")}
	for _, token := range []domain.Token{kept, gone} {
		if _, err := before.CreateToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if err := before.DeleteToken(t.Context(), "default", "b"); err != nil {
		t.Fatal(err)
	}
	before.stop()

	after := log.registry(t, newSealer(t, key(2), key(1))) // keys may be rotated meanwhile
	if diff := cmp.Diff(before.Channels(""), after.Channels("")); diff != "" || len(after.Channels("")) != 2 {
		t.Errorf("channels (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.Tokens("default"), after.Tokens("default")); diff != "" || len(after.Tokens("default")) != 1 {
		t.Errorf("tokens (-before +after):\n%s", diff)
	}
	if got := after.Channels("other"); len(got) != 1 || got[0].ID != "3" {
		t.Errorf("channels of another account: %+v", got)
	}
	for token, want := range map[string]string{"token-1": "", "token-1b": "1", "token-2": "", "token-3": "3", "": ""} {
		if got := after.opens(token); got != want {
			t.Errorf("%q opens %q, want %q", token, got, want)
		}
	}
	if _, ok := after.Token("beta"); ok {
		t.Error("a revoked token is good")
	}
	if token, ok := after.Token("alpha"); !ok || token.Role != domain.RoleAgent {
		t.Errorf("token alpha: %+v, %t", token, ok)
	}
}

// Ensure that the log never holds a secret in clear text.
func TestRegistrySecretsAreSealed(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	r.create(t, aChannel("1", "token-in-clear"))
	if _, err := r.CreateToken(t.Context(), domain.Token{ID: "a", Account: "default", Role: domain.RoleAdmin, Hash: domain.HashSecret("secret-in-clear")}); err != nil {
		t.Fatal(err)
	}
	records := 0
	for msg, err := range log.Scan(t.Context(), log.channels, 0, 0, 2) {
		if err != nil {
			t.Fatal(err)
		}
		records++
		if strings.Contains(string(msg.Payload), "in-clear") {
			t.Errorf("record %s holds a secret", eventstore.Key(msg))
		}
		if m := msg.Metadata; m["ce_specversion"] != "1.0" || !strings.HasSuffix(m["ce_type"], ".changed.v1") || m["ce_source"] != "/accounts/default" || m["ce_time"] == "" {
			t.Errorf("record %s is no CloudEvent: %v", eventstore.Key(msg), m)
		}
	}
	if records != 2 {
		t.Errorf("%d records, want 2", records)
	}
}

// Ensure that two nodes see each other's changes.
func TestRegistryNodesFollowEachOther(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	one, two := log.registry(t, newSealer(t, key(1))), log.registry(t, newSealer(t, key(1)))
	one.create(t, aChannel("1", "token-1"))
	two.create(t, aChannel("2", "token-2"))
	one.catchUp(t, log)
	two.rotate(t, "1", "token-1b")
	one.catchUp(t, log)
	if one.opens("token-1") != "" || one.opens("token-1b") != "1" || one.opens("token-2") != "2" {
		t.Error("the first does not know what the second did")
	}
	if err := one.DeleteChannel(t.Context(), "2"); err != nil {
		t.Fatal(err)
	}
	two.catchUp(t, log)
	if diff := cmp.Diff(one.Channels(""), two.Channels("")); diff != "" || len(two.Channels("")) != 1 {
		t.Errorf("(-one +two)\n%s", diff)
	}
}

// Ensure that a record that cannot be read stops neither the others nor a restart,
// and that what it replaced is not good any more.
func TestRegistryUnreadableRecords(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	stranger := log.registry(t, newSealer(t, key(9)))
	ours := log.registry(t, newSealer(t, key(1)))
	ours.create(t, aChannel("1", "token-1"))
	ours.create(t, aChannel("2", "token-2"))
	stranger.create(t, aChannel("3", "token-3")) // sealed under a key that we do not have
	put := func(name, stored, value string) {
		msg := message.NewMessage(watermill.NewUUID(), []byte(value))
		msg.Metadata["ce_subject"], msg.Metadata["ce_type"] = name, stored
		if err := log.publisher.Publish(log.channels, msg); err != nil {
			t.Fatal(err)
		}
	}
	put("channel/2", "channel.changed.v1", "not JSON")
	put("channel/4", "channel.changed.v1", `{"id":"1"}`) // about another
	put("channel/5", "channel.changed.v2", `{"id":"5"}`) // of a newer Parley
	put("token/", "token.changed.v1", `{"id":"","role":"admin","sha256":"`+strings.Repeat("00", 32)+`"}`)
	put("token/x", "token.changed.v1", `{"id":"x","role":"admin","sha256":"00"}`)
	put("queue/7", "queue.changed.v1", `{}`)
	ours.create(t, aChannel("6", "token-6"))

	restarted := log.registry(t, newSealer(t, key(1)))
	for _, r := range []*follower{ours, restarted} {
		ids := ""
		for _, ch := range r.Channels("") {
			ids += ch.ID + " "
		}
		if ids != "1 6 " {
			t.Errorf("channels %q, want 1 and 6", ids)
		}
		if r.opens("token-2") != "" || r.opens("token-3") != "" {
			t.Error("a token of a channel that cannot be read is good")
		}
		if token, ok := r.Token("anything"); ok {
			t.Errorf("an unknown secret is good for %+v", token)
		}
		r.stop()
		for _, name := range []string{"channel/2", "channel/3", "channel/4", "channel/5", "token/x"} {
			if !strings.Contains(r.logged.String(), "record="+name) {
				t.Errorf("%s is not logged", name)
			}
		}
	}
}

// Ensure that tokens belong to their account, that one of the configuration needs
// no log, and that a hash is all that is kept.
func TestRegistryTokens(t *testing.T) {
	t.Parallel()
	admin := domain.Token{ID: "admin", Account: "default", Role: domain.RoleAdmin, Hash: domain.HashSecret("configured")}
	r := newTestLog(t).registry(t, newSealer(t, key(1)), admin)
	if token, ok := r.Token("configured"); !ok || token.ID != "admin" {
		t.Errorf("the configured token: %+v, %t", token, ok)
	}
	created, err := r.CreateToken(t.Context(), domain.Token{ID: "a", Account: "default", Name: "desk", Role: domain.RoleAgent, Hash: domain.HashSecret("alpha")})
	if err != nil || created.CreatedAt.IsZero() {
		t.Fatalf("created %+v, %v", created, err)
	}
	if token, ok := r.Token("alpha"); !ok || token != created {
		t.Errorf("known is %+v, %t", token, ok)
	}
	for _, secret := range []string{"", "Alpha", "alpha "} {
		if _, ok := r.Token(secret); ok {
			t.Errorf("secret %q is good", secret)
		}
	}
	if err := r.DeleteToken(t.Context(), "other", "a"); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("another account revokes it: %v", err)
	}
	if err := r.DeleteToken(t.Context(), "default", "a"); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Token("alpha"); ok || len(r.Tokens("default")) != 0 {
		t.Error("it is good after it was revoked")
	}
}

// Ensure that a log that is away is told as such, and that nothing is changed.
func TestRegistryLogAway(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	if err := log.publisher.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.CreateChannel(t.Context(), aChannel("1", "token-1"))
	if e, ok := errors.AsType[*domain.Error](err); !ok || e.Code != domain.CodeUnavailable || e.RetryAfter == 0 {
		t.Errorf("the log is away: %v", err)
	}
	if r.opens("token-1") != "" {
		t.Error("the channel is there")
	}
}
