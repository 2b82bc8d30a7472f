package eventstore_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
)

// drawer is one kind of numbered things as every kind must be.
type drawer[V any] struct {
	thing  func(account string, number int64, name string) V
	rename func(*V, string)
	broken func(*V) // makes it one that is not valid
	moved  func(*V) // makes it another's
	number func(V) int64
	get    func(string, int64) (V, bool)
	list   func(string) []V
	create func(context.Context, V) (V, error)
	change func(context.Context, string, int64, func(*V) error) (V, error)
	delete func(context.Context, string, int64) error
}

// checkDirectory makes sure that things of a kind come, change and go in their
// account, at once on this node, and are the same after a restart. of finds their
// kind in a registry.
func checkDirectory[V any](t *testing.T, of func(*follower) drawer[V]) {
	t.Helper()
	t.Parallel()
	log, ctx := newTestLog(t), t.Context()
	d := of(log.registryAt(t, ticking(), newSealer(t, key(1))))
	made := must(t, d.create, d.thing("acme", 10, "ten"))
	must(t, d.create, d.thing("acme", 9, "nine"))
	must(t, d.create, d.thing("other", 9, "nine"))
	if known, ok := d.get("acme", 10); !ok || !cmp.Equal(known, made) {
		t.Errorf("known is %+v (%t), made %+v", known, ok, made)
	}
	_, err := d.create(ctx, d.thing("acme", 10, "again"))
	wantCode(t, "create it twice", err, domain.CodeConflict)
	_, err = d.create(ctx, d.thing("acme", 0, "none"))
	wantCode(t, "create it without a number", err, domain.CodeInvalid)
	broken := d.thing("acme", 11, "eleven")
	d.broken(&broken)
	_, err = d.create(ctx, broken)
	wantCode(t, "create one that is not valid", err, domain.CodeInvalid)
	_, err = d.change(ctx, "acme", 10, func(v *V) error { d.broken(v); return nil })
	wantCode(t, "change it into one that is not valid", err, domain.CodeInvalid)
	_, err = d.change(ctx, "acme", 11, func(*V) error { return nil })
	wantCode(t, "change what is not there", err, domain.CodeNotFound)
	wantCode(t, "delete what is not there", d.delete(ctx, "nobody", 10), domain.CodeNotFound)

	changed, err := d.change(ctx, "acme", 10, func(v *V) error { d.rename(v, "dix"); d.moved(v); return nil })
	want := d.thing("acme", 10, "dix")
	if known, _ := d.get("acme", 10); err != nil || !cmp.Equal(known, changed) || cmp.Equal(known, made) || d.number(known) != d.number(want) {
		t.Errorf("known is %+v, changed to %+v (%v)", known, changed, err)
	}
	if err := d.delete(ctx, "other", 9); err != nil {
		t.Fatal(err)
	}
	for _, d := range []drawer[V]{d, of(log.registry(t, newSealer(t, key(1))))} {
		list := d.list("acme")
		if len(list) != 2 || d.number(list[0]) != 9 || !cmp.Equal(list[1], changed) {
			t.Errorf("listed are %+v", list)
		}
		if _, ok := d.get("other", 9); ok || len(d.list("other")) != 0 {
			t.Error("it is there after it was deleted")
		}
	}
	must(t, d.create, d.thing("other", 9, "neuf"))
}

// Ensure that queues are a directory as it must be.
func TestQueues(t *testing.T) {
	checkDirectory(t, func(r *follower) drawer[domain.Queue] {
		return drawer[domain.Queue]{
			func(account string, n int64, name string) domain.Queue {
				return domain.Queue{Number: n, Account: account, Name: name, MaxWait: 60, Priority: 10}
			},
			func(q *domain.Queue, name string) { q.Name = name },
			func(q *domain.Queue) { q.Priority = 11 },
			func(q *domain.Queue) { q.Account, q.Number = "elsewhere", 1 },
			func(q domain.Queue) int64 { return q.Number },
			r.Queue, r.Queues, r.CreateQueue, r.ChangeQueue, r.DeleteQueue,
		}
	})
}

// Ensure that functions are a directory as it must be.
func TestFunctions(t *testing.T) {
	checkDirectory(t, func(r *follower) drawer[domain.Function] {
		return drawer[domain.Function]{
			func(account string, n int64, name string) domain.Function {
				return domain.Function{Number: n, Account: account, Name: name, URL: "https://example.com/f", TokenID: "t", AccessToken: "secret"}
			},
			func(f *domain.Function, name string) { f.Name = name },
			func(f *domain.Function) { f.URL = "nowhere" },
			func(f *domain.Function) { f.Account, f.Number = "elsewhere", 1 },
			func(f domain.Function) int64 { return f.Number },
			r.Function, r.Functions, r.CreateFunction, r.ChangeFunction, r.DeleteFunction,
		}
	})
}

// Ensure that tags are a directory as it must be.
func TestTags(t *testing.T) {
	checkDirectory(t, func(r *follower) drawer[domain.Tag] {
		return drawer[domain.Tag]{
			func(account string, n int64, name string) domain.Tag {
				return domain.Tag{Number: n, Account: account, Name: name}
			},
			func(v *domain.Tag, name string) { v.Name = name },
			func(v *domain.Tag) { v.Name = "" },
			func(v *domain.Tag) { v.Account, v.Number = "elsewhere", 1 },
			func(v domain.Tag) int64 { return v.Number },
			r.Tag, r.Tags, r.CreateTag, r.ChangeTag, r.DeleteTag,
		}
	})
}

// Ensure that topic sets are a directory as it must be.
func TestTopicSets(t *testing.T) {
	checkDirectory(t, func(r *follower) drawer[domain.TopicSet] {
		return drawer[domain.TopicSet]{
			func(account string, n int64, name string) domain.TopicSet {
				return domain.TopicSet{Number: n, Account: account, Name: name, Topics: []domain.Topic{{Number: 1, Name: "Price"}}}
			},
			func(v *domain.TopicSet, name string) { v.Topics[0].Name = name },
			func(v *domain.TopicSet) { v.Topics = append(v.Topics, v.Topics[0]) },
			func(v *domain.TopicSet) { v.Account, v.Number = "elsewhere", 1 },
			func(v domain.TopicSet) int64 { return v.Number },
			r.TopicSet, r.TopicSets, r.CreateTopicSet, r.ChangeTopicSet, r.DeleteTopicSet,
		}
	})
}

// Ensure that skills are a directory as it must be.
func TestSkills(t *testing.T) {
	checkDirectory(t, func(r *follower) drawer[domain.Skill] {
		return drawer[domain.Skill]{
			func(account string, n int64, name string) domain.Skill {
				return domain.Skill{Number: n, Account: account, Name: name}
			},
			func(v *domain.Skill, name string) { v.Name = name },
			func(v *domain.Skill) { v.Name = "" },
			func(v *domain.Skill) { v.Account, v.Number = "elsewhere", 1 },
			func(v domain.Skill) int64 { return v.Number },
			r.Skill, r.Skills, r.CreateSkill, r.ChangeSkill, r.DeleteSkill,
		}
	})
}

// Ensure that agents are a directory as it must be.
func TestAgents(t *testing.T) {
	checkDirectory(t, func(r *follower) drawer[domain.Agent] {
		return drawer[domain.Agent]{
			func(account string, n int64, name string) domain.Agent {
				return domain.Agent{Number: n, Account: account, Username: name, MostOpen: 5, Queues: []int64{4}}
			},
			func(v *domain.Agent, name string) { v.Username = name },
			func(v *domain.Agent) { v.MostOpen = 0 },
			func(v *domain.Agent) { v.Account, v.Number = "elsewhere", 1 },
			func(v domain.Agent) int64 { return v.Number },
			r.Agent, r.Agents, r.CreateAgent, r.ChangeAgent, r.DeleteAgent,
		}
	})
}

// Ensure that an account has so many queues and no more, and that two agents of
// an account do not have one name.
func TestDirectoryFits(t *testing.T) {
	t.Parallel()
	r := newTestLog(t).registry(t, newSealer(t, key(1)))
	for n := range int64(domain.MaxQueues) {
		must(t, r.CreateQueue, aQueue("acme", n+1))
	}
	_, err := r.CreateQueue(t.Context(), aQueue("acme", domain.MaxQueues+1))
	wantCode(t, "one queue too many", err, domain.CodeConflict)
	must(t, r.CreateQueue, aQueue("other", domain.MaxQueues+1))
	if _, err := r.ChangeQueue(t.Context(), "acme", 1, func(q *domain.Queue) error { q.Name = "New"; return nil }); err != nil {
		t.Errorf("a full account changes a queue: %v", err)
	}
	agent := func(account string, n int64, name string) domain.Agent {
		return domain.Agent{Number: n, Account: account, Username: name, MostOpen: 5}
	}
	must(t, r.CreateAgent, agent("acme", 1, "grace"))
	must(t, r.CreateAgent, agent("acme", 2, "ada"))
	must(t, r.CreateAgent, agent("other", 1, "grace"))
	_, err = r.CreateAgent(t.Context(), agent("acme", 3, "grace"))
	wantCode(t, "a username that is taken", err, domain.CodeConflict)
	_, err = r.ChangeAgent(t.Context(), "acme", 2, func(a *domain.Agent) error { a.Username = "grace"; return nil })
	wantCode(t, "change to a username that is taken", err, domain.CodeConflict)
	if _, err := r.ChangeAgent(t.Context(), "acme", 1, func(a *domain.Agent) error { a.Ready = true; return nil }); err != nil {
		t.Errorf("an agent keeps its username: %v", err)
	}
}

// Ensure that keys are listed by purpose, newest first, and go.
func TestSignKeys(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registryAt(t, ticking(), newSealer(t, key(1)))
	for _, id := range []string{"b", "a", "c"} {
		must(t, r.CreateSignKey, domain.SignKey{ID: id, Purpose: domain.KeyLogin, Secret: []byte(strings.Repeat(id, 32))})
	}
	must(t, r.CreateSignKey, domain.SignKey{ID: "d", Purpose: domain.KeyConversation, Secret: make([]byte, 32)})
	_, err := r.CreateSignKey(t.Context(), domain.SignKey{ID: "d", Purpose: domain.KeyLogin, Secret: make([]byte, 32)})
	wantCode(t, "an id that is taken", err, domain.CodeConflict)
	_, err = r.CreateSignKey(t.Context(), domain.SignKey{ID: "e", Purpose: domain.KeyLogin, Secret: make([]byte, 31)})
	wantCode(t, "a secret that is too short", err, domain.CodeInvalid)
	before := r.SignKeys(domain.KeyLogin)
	if err := r.DeleteSignKey(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "delete it twice", r.DeleteSignKey(t.Context(), "a"), domain.CodeNotFound)
	ids := func(list []domain.SignKey) (ids string) {
		for _, k := range list {
			ids += k.ID
			if string(k.Secret) != strings.Repeat(k.ID, 32) {
				t.Errorf("the secret of key %s is another's", k.ID)
			}
		}
		return ids
	}
	for name, list := range map[string][]domain.SignKey{
		"after": r.SignKeys(domain.KeyLogin), "restart": log.registry(t, newSealer(t, key(1))).SignKeys(domain.KeyLogin),
	} {
		if got := ids(list); got != "cb" {
			t.Errorf("%s: keys %q, want c and b", name, got)
		}
	}
	if got := ids(before); got != "cab" {
		t.Errorf("a list that was given out has become %q", got)
	}
}

// Ensure that a node with another sealing key knows of nothing that holds a
// secret, and tells so without telling it; the rest it knows.
func TestWrongSealingKey(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	right := log.registry(t, newSealer(t, key(1)))
	furnish(t, right)
	wrong := log.registry(t, newSealer(t, key(9)))
	got, want := wrong.furniture(), right.furniture()
	want.APITokens, want.Functions, want.SignKeys, want.Channels, want.Webhooks = nil, nil, nil, nil, nil
	want.Subscriptions = want.Subscriptions[1:] // one that is deleted holds no secret
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, ok := wrong.APITokenByValue("acme", "value-of-site"); ok {
		t.Error("a token that cannot be opened is good")
	}
	wrong.stop()
	logged := wrong.logged.String()
	for _, record := range []string{"api-token/acme/site", "function/acme/12", "sign-key/k1", "channel/3f0c8a52", "channel/731905284416", "subscription/acme/desk-1", "webhook/acme/2"} {
		if !strings.Contains(logged, "record="+record) {
			t.Errorf("%s is not logged", record)
		}
	}
	if strings.Contains(logged, "value-of") || strings.Contains(logged, "secret-of") || strings.Contains(logged, "salt of") || strings.Contains(logged, "token-of") {
		t.Errorf("a secret is logged:\n%s", logged)
	}
}

// Ensure that a record under a name that is none of its kind's, or about another
// thing, changes nothing and is told, and that one that cannot be read ends what
// it replaced.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	furnish(t, r)
	want := r.furniture()
	put := func(name, stored, value string) {
		msg := message.NewMessage(watermill.NewUUID(), []byte(value))
		msg.Metadata["ce_subject"], msg.Metadata["ce_type"] = name, stored
		if err := log.publisher.Publish(log.channels, msg); err != nil {
			t.Fatal(err)
		}
	}
	queue := `{"id":4,"account":"acme","name":"False","priority":1}`
	odd := []string{"queue/acme", "queue/acme/04", "queue/acme/+4", "queue/acme/4/", "queue//4", "queue/acme/0", "queue/acme/99999999999999999999", "queue/other/4", "queue/acme/5"}
	for _, name := range odd {
		put(name, "queue.changed.v1", queue)
	}
	put("api-token/acme", "api-token.changed.v1", `{}`)
	put("widget/acme/4", "widget.changed.v1", queue) // of a newer Parley
	r.catchUp(t, log)
	if diff := cmp.Diff(want, r.furniture()); diff != "" {
		t.Errorf("something has changed (-before +after)\n%s", diff)
	}
	put("tag/acme/5", "tag.changed.v2", `{}`)
	put("agent/acme/7", "agent.changed.v1", `[]`)
	put("skill/acme/3", "skill.changed.v1", ``)
	r.catchUp(t, log)
	if len(r.Tags("acme"))+len(r.Agents("acme"))+len(r.Skills("acme")) != 0 {
		t.Error("what was replaced is there")
	}
	r.stop()
	for _, name := range append(odd, "tag/acme/5", "agent/acme/7", "api-token/acme") {
		if !strings.Contains(r.logged.String(), "record="+name+" ") {
			t.Errorf("%s is not logged", name)
		}
	}
	if n := strings.Count(r.logged.String(), "registry.record_unreadable"); n != len(odd)+3 {
		t.Errorf("%s lines are logged", strconv.Itoa(n))
	}
}
