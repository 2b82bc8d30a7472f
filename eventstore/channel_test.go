package eventstore_test

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

const kitID = "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33"

// Ensure that a channel tells what stands in other records as it is now, that
// none of it is kept with the channel, and that it is told whoever asks.
func TestChannelIsResolved(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	must(t, r.CreateAPIToken, anAPIToken("acme", "one", "value-one"))
	must(t, r.CreateAPIToken, anAPIToken("acme", "two", "value-two"))
	must(t, r.CreateAPIToken, anAPIToken("other", "one", "value-of-other"))
	must(t, r.CreateQueue, aQueue("acme", 4))
	must(t, r.CreateQueue, domain.Queue{Number: 4, Account: "other", Name: "Other", MaxWait: 7, Priority: 1})
	fallback := must(t, r.CreateQueue, domain.Queue{Number: 5, Account: "acme", Name: "Fallback", MaxWait: 30, Priority: 1})
	ch := kitChannel(kitID, "acme", "one")
	ch.Desk.FallbackQueue, ch.Desk.Wait, ch.Credentials.APIToken = 5, 99, "brought along"
	created := must(t, r.CreateChannel, ch)

	tells := func(token string, wait, fallbackWait int64) {
		t.Helper()
		ch, ok := r.Channel(kitID)
		if !ok || ch.Credentials.APIToken != token || ch.Desk.Wait != wait || ch.Desk.FallbackWait != fallbackWait || ch.Credentials.Salt != "salt of "+kitID {
			t.Errorf("it tells %+v with desk %+v (%t), want %q, %d, %d", ch.Credentials, ch.Desk, ok, token, wait, fallbackWait)
		}
		if diff := cmp.Diff([]domain.Channel{ch}, r.Channels("acme")); diff != "" {
			t.Errorf("the list tells another:\n%s", diff)
		}
	}
	tells("value-one", 600, 30)
	if known, _ := r.Channel(kitID); !cmp.Equal(created, known) {
		t.Errorf("created is not what is known:\n%s", cmp.Diff(created, known))
	}
	if _, err := r.ChangeQueue(t.Context(), "acme", 4, func(q *domain.Queue) error { q.MaxWait = 0; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteQueue(t.Context(), "acme", fallback.Number); err != nil {
		t.Fatal(err)
	}
	tells("value-one", 0, 0)
	if _, err := r.RevokeAPIToken(t.Context(), "acme", "one"); err != nil {
		t.Fatal(err)
	}
	tells("value-one", 0, 0) // callbacks are signed with it until another is picked
	changed, err := r.ChangeChannel(t.Context(), kitID, func(ch *domain.Channel) error { ch.APITokenID = "two"; return nil })
	if err != nil || changed.Credentials.APIToken != "value-two" {
		t.Errorf("changed to %+v, %v", changed.Credentials, err)
	}
	tells("value-two", 0, 0)
	changed, err = r.ChangeChannel(t.Context(), kitID, func(ch *domain.Channel) error { ch.APITokenID = "three"; return nil })
	if err != nil || changed.Credentials.APIToken != "" {
		t.Errorf("with a token that is not there changed to %+v, %v", changed.Credentials, err)
	}
	tells("", 0, 0)
}

// Ensure that an API token of an account is no key to the door of channels that
// have tokens of their own, even when a channel there was made with its value.
func TestChannelByTokenIsNotForAPITokens(t *testing.T) {
	t.Parallel()
	r := newTestLog(t).registry(t, newSealer(t, key(1)))
	must(t, r.CreateAPIToken, anAPIToken("default", "one", "value-one"))
	ch := kitChannel(kitID, "default", "one")
	ch.Credentials.APIToken = "value-one"
	must(t, r.CreateChannel, ch)
	if id := r.opens("value-one"); id != "" {
		t.Errorf("it opens %s", id)
	}
	must(t, r.CreateChannel, aChannel("620418", "value-one"))
	if id := r.opens("value-one"); id != "620418" {
		t.Errorf("the token of a channel of its own opens %q", id)
	}
	if err := r.DeleteChannel(t.Context(), kitID); err != nil {
		t.Fatal(err)
	}
	if id := r.opens("value-one"); id != "620418" {
		t.Errorf("without the other channel it opens %q", id)
	}
}

// Ensure that what a change does to its copy is not seen before, or without, the
// change, and that what does not change stays.
func TestChangeGetsACopy(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	furnish(t, r)
	before := log.registry(t, newSealer(t, key(1))).furniture() // shares no memory with what is changed
	no := errors.New("changed mind")
	for name, err := range map[string]error{
		"channel": second(r.ChangeChannel(t.Context(), kitID, func(ch *domain.Channel) error {
			ch.Desk.Skills[0].Level, ch.Account = 1, "elsewhere"
			return no
		})),
		"schedule": second(r.ChangeChannel(t.Context(), "204815162342", func(ch *domain.Channel) error {
			ch.Delivery.Schedule[0] = time.Hour
			return no
		})),
		"agent": second(r.ChangeAgent(t.Context(), "acme", 7, func(a *domain.Agent) error {
			a.Queues[0], a.Skills[0].Level = 9, 1
			return no
		})),
		"topic set": second(r.ChangeTopicSet(t.Context(), "acme", 2, func(s *domain.TopicSet) error {
			s.Topics[0].Name = "Other"
			return no
		})),
	} {
		if !errors.Is(err, no) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, r.furniture()); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	ch, err := r.ChangeChannel(t.Context(), kitID, func(ch *domain.Channel) error {
		ch.Account, ch.CreatedAt, ch.Disabled = "elsewhere", time.Time{}, false
		return nil
	})
	if err != nil || ch.Account != "acme" || ch.CreatedAt.IsZero() || ch.Revision != 2 || ch.Disabled {
		t.Errorf("changed to %+v, %v", ch, err)
	}
}

func second[V any](_ V, err error) error { return err }

// Ensure that changes on two nodes and look-ups meanwhile get on, and that both
// nodes know the same in the end.
func TestRegistryConcurrency(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	nodes := []*follower{log.registry(t, newSealer(t, key(1))), log.registry(t, newSealer(t, key(1)))}
	must(t, nodes[0].CreateAccount, domain.Account{Name: "acme"})
	must(t, nodes[0].CreateAPIToken, anAPIToken("acme", "one", "value-one"))
	must(t, nodes[0].CreateQueue, aQueue("acme", 4))
	must(t, nodes[0].CreateChannel, kitChannel(kitID, "acme", "one"))
	nodes[1].catchUp(t, log)

	const changes = 20
	var changing, looking sync.WaitGroup
	done := make(chan struct{})
	for i, r := range nodes {
		looking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if ch, ok := r.Channel(kitID); !ok || ch.Credentials.APIToken != "value-one" || ch.Desk.Wait < 600 {
					t.Errorf("a look finds %+v, %t", ch, ok)
					return
				}
				r.Agents("acme")
				r.SignKeys(domain.KeyLogin)
				r.APITokenByValue("acme", "value-one")
			}
		})
		changing.Go(func() {
			for n := range changes {
				number := int64(1 + 2*n + i)
				agent := domain.Agent{Number: number, Account: "acme", Username: "agent " + strconv.FormatInt(number, 10), MostOpen: 1}
				if _, err := r.CreateAgent(t.Context(), agent); err != nil {
					t.Error(err)
				}
				if _, err := r.ChangeQueue(t.Context(), "acme", 4, func(q *domain.Queue) error { q.MaxWait++; return nil }); err != nil {
					t.Error(err)
				}
				key := domain.SignKey{ID: strconv.FormatInt(number, 10), Purpose: domain.KeyLogin, Secret: make([]byte, 32)}
				if _, err := r.CreateSignKey(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	changing.Wait()
	close(done)
	looking.Wait()
	for _, r := range nodes {
		r.catchUp(t, log)
	}
	one, two := nodes[0].furniture(), nodes[1].furniture()
	if diff := cmp.Diff(one, two); diff != "" || len(one.Agents) != 2*changes || len(one.SignKeys) != 2*changes {
		t.Errorf("%d agents, %d keys; (-one +two)\n%s", len(one.Agents), len(one.SignKeys), diff)
	}
	if !slices.IsSortedFunc(one.SignKeys, func(a, b domain.SignKey) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
		t.Error("the keys are not in order, newest first")
	}
}

// Ensure that the look-ups of every inbound request and every callback allocate
// nothing.
func TestChannelLookUpIsCheap(t *testing.T) {
	r := manyChannels(t, 100)
	var ok bool
	for name, look := range map[string]func(){
		"channel":   func() { _, ok = r.Channel(kitID) },
		"token":     func() { _, ok = r.ChannelByToken("token-7") },
		"API token": func() { _, ok = r.APIToken("acme", "one") },
		"queue":     func() { _, ok = r.Queue("acme", 4) },
		"keys":      func() { ok = len(r.SignKeys(domain.KeyLogin)) == 1 },
	} {
		if allocated := testing.AllocsPerRun(100, look); allocated != 0 || !ok {
			t.Errorf("%s: %v allocations, found: %t", name, allocated, ok)
		}
	}
}

// manyChannels is a registry with that many channels of a token of their own and
// one that picks a token.
func manyChannels(t testing.TB, n int) *eventstore.Registry {
	t.Helper()
	r := newTestLog(t).registry(t, newSealer(t, key(1)))
	must(t, r.CreateAccount, domain.Account{Name: "acme"})
	must(t, r.CreateAPIToken, anAPIToken("acme", "one", "value-one"))
	must(t, r.CreateQueue, aQueue("acme", 4))
	must(t, r.CreateSignKey, domain.SignKey{ID: "k", Purpose: domain.KeyLogin, Secret: make([]byte, 32)})
	must(t, r.CreateChannel, kitChannel(kitID, "acme", "one"))
	for i := range n {
		must(t, r.CreateChannel, aChannel(strconv.Itoa(i), "token-"+strconv.Itoa(i)))
	}
	return r.Registry
}

func BenchmarkChannel(b *testing.B) {
	r := manyChannels(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.Channel(kitID); !ok {
			b.Fatal("it is not there")
		}
	}
}
