package httpapi

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/parley-im/parley/domain"
)

// directoryWorld keeps what an account has besides channels and tokens. It keeps
// the rules that the directory promises: what is taken, what is not there, and
// the order of lists.
type directoryWorld struct {
	queues    shelf[domain.Queue]
	functions shelf[domain.Function]
	tags      shelf[domain.Tag]
	topicSets shelf[domain.TopicSet]
	skills    shelf[domain.Skill]
	agents    shelf[domain.Agent]
	accounts  shelf[domain.Account]  // by name, in no account
	apiTokens shelf[domain.APIToken] // by id

	subscriptions shelf[domain.Subscription] // by id
	keys          shelf[domain.SignKey]      // by id, in no account
	webhooks      []domain.Webhook

	numbersMu sync.Mutex
	last      map[string]int64 // number given by account and kind
}

func newDirectoryWorld() *directoryWorld {
	byNumber := func(n int64) string { return strconv.FormatInt(n, 10) }
	d := &directoryWorld{
		queues:        newShelf("queue", func(q domain.Queue) (string, string) { return q.Account, byNumber(q.Number) }),
		functions:     newShelf("function", func(f domain.Function) (string, string) { return f.Account, byNumber(f.Number) }),
		tags:          newShelf("tag", func(t domain.Tag) (string, string) { return t.Account, byNumber(t.Number) }),
		topicSets:     newShelf("topic set", func(s domain.TopicSet) (string, string) { return s.Account, byNumber(s.Number) }),
		skills:        newShelf("skill", func(s domain.Skill) (string, string) { return s.Account, byNumber(s.Number) }),
		agents:        newShelf("agent", func(a domain.Agent) (string, string) { return a.Account, byNumber(a.Number) }),
		accounts:      newShelf("account", func(a domain.Account) (string, string) { return "", a.Name }),
		subscriptions: newShelf("subscription", func(s domain.Subscription) (string, string) { return s.Account, s.ID }),

		apiTokens: newShelf("API token", func(t domain.APIToken) (string, string) { return t.Account, t.ID }),
		keys:      newShelf("key", func(k domain.SignKey) (string, string) { return "", k.ID }),
		last:      map[string]int64{},
	}
	for _, name := range []string{domain.DefaultAccount, "other"} {
		d.accounts.known[owned{"", name}] = domain.Account{Name: name}
	}
	return d
}

type owned struct{ account, id string }

// shelf holds things of one kind.
type shelf[T any] struct {
	one   string
	owner func(T) (account, id string)

	mu    *sync.Mutex
	known map[owned]T
}

func newShelf[T any](one string, owner func(T) (account, id string)) shelf[T] {
	return shelf[T]{one: one, owner: owner, mu: &sync.Mutex{}, known: map[owned]T{}}
}

func (s shelf[T]) get(account, id string) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.known[owned{account, id}]
	return v, ok
}

func (s shelf[T]) at(account string, number int64) (T, bool) {
	return s.get(account, strconv.FormatInt(number, 10))
}

func (s shelf[T]) list(account string, order func(a, b T) int) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []T
	for key, v := range s.known {
		if key.account == account {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, order)
	return list
}

func (s shelf[T]) create(v T) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	account, id := s.owner(v)
	if _, taken := s.known[owned{account, id}]; taken {
		return v, domain.Errorf(domain.CodeConflict, "there is a %s %s", s.one, id)
	}
	s.known[owned{account, id}] = v
	return v, nil
}

func (s shelf[T]) change(account, id string, change func(*T) error) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.known[owned{account, id}]
	if !ok {
		return v, notFound(s.one, id)
	}
	if err := change(&v); err != nil {
		return v, err
	}
	s.known[owned{account, id}] = v
	return v, nil
}

func (s shelf[T]) changeAt(account string, number int64, change func(*T) error) (T, error) {
	return s.change(account, strconv.FormatInt(number, 10), change)
}

func (s shelf[T]) remove(account, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[owned{account, id}]; !ok {
		return notFound(s.one, id)
	}
	delete(s.known, owned{account, id})
	return nil
}

func (s shelf[T]) removeAt(account string, number int64) error {
	return s.remove(account, strconv.FormatInt(number, 10))
}

// Next implements numbers.
func (d *directoryWorld) Next(_ context.Context, account, kind string, above int64) (int64, error) {
	d.numbersMu.Lock()
	defer d.numbersMu.Unlock()
	d.last[account+"\x00"+kind] = max(d.last[account+"\x00"+kind], above) + 1
	return d.last[account+"\x00"+kind], nil
}

// ID implements numbers.
func (d *directoryWorld) ID(ctx context.Context, kind string, above int64) (int64, error) {
	return d.Next(ctx, "", kind, above)
}

// Webhooks implements directory.
func (d *directoryWorld) Webhooks(account string) []domain.Webhook {
	return slices.DeleteFunc(slices.Clone(d.webhooks), func(w domain.Webhook) bool { return w.Account != account })
}

// Queue implements directory.
func (d *directoryWorld) Queue(account string, number int64) (domain.Queue, bool) {
	return d.queues.at(account, number)
}

// Queues implements directory.
func (d *directoryWorld) Queues(account string) []domain.Queue {
	return d.queues.list(account, func(a, b domain.Queue) int { return cmp.Compare(a.Number, b.Number) })
}

// CreateQueue implements directory.
func (d *directoryWorld) CreateQueue(_ context.Context, v domain.Queue) (domain.Queue, error) {
	return d.queues.create(v)
}

// ChangeQueue implements directory.
func (d *directoryWorld) ChangeQueue(_ context.Context, account string, number int64, change func(*domain.Queue) error) (domain.Queue, error) {
	return d.queues.changeAt(account, number, change)
}

// DeleteQueue implements directory.
func (d *directoryWorld) DeleteQueue(_ context.Context, account string, number int64) error {
	return d.queues.removeAt(account, number)
}

// Function implements directory.
func (d *directoryWorld) Function(account string, number int64) (domain.Function, bool) {
	return d.functions.at(account, number)
}

// Functions implements directory.
func (d *directoryWorld) Functions(account string) []domain.Function {
	return d.functions.list(account, func(a, b domain.Function) int { return cmp.Compare(a.Number, b.Number) })
}

// CreateFunction implements directory.
func (d *directoryWorld) CreateFunction(_ context.Context, v domain.Function) (domain.Function, error) {
	return d.functions.create(v)
}

// ChangeFunction implements directory.
func (d *directoryWorld) ChangeFunction(_ context.Context, account string, number int64, change func(*domain.Function) error) (domain.Function, error) {
	return d.functions.changeAt(account, number, change)
}

// DeleteFunction implements directory.
func (d *directoryWorld) DeleteFunction(_ context.Context, account string, number int64) error {
	return d.functions.removeAt(account, number)
}

// Tag implements directory.
func (d *directoryWorld) Tag(account string, number int64) (domain.Tag, bool) {
	return d.tags.at(account, number)
}

// Tags implements directory.
func (d *directoryWorld) Tags(account string) []domain.Tag {
	return d.tags.list(account, func(a, b domain.Tag) int { return cmp.Compare(a.Number, b.Number) })
}

// CreateTag implements directory.
func (d *directoryWorld) CreateTag(_ context.Context, v domain.Tag) (domain.Tag, error) {
	return d.tags.create(v)
}

// ChangeTag implements directory.
func (d *directoryWorld) ChangeTag(_ context.Context, account string, number int64, change func(*domain.Tag) error) (domain.Tag, error) {
	return d.tags.changeAt(account, number, change)
}

// DeleteTag implements directory.
func (d *directoryWorld) DeleteTag(_ context.Context, account string, number int64) error {
	return d.tags.removeAt(account, number)
}

// TopicSet implements directory.
func (d *directoryWorld) TopicSet(account string, number int64) (domain.TopicSet, bool) {
	return d.topicSets.at(account, number)
}

// TopicSets implements directory.
func (d *directoryWorld) TopicSets(account string) []domain.TopicSet {
	return d.topicSets.list(account, func(a, b domain.TopicSet) int { return cmp.Compare(a.Number, b.Number) })
}

// CreateTopicSet implements directory.
func (d *directoryWorld) CreateTopicSet(_ context.Context, v domain.TopicSet) (domain.TopicSet, error) {
	return d.topicSets.create(v)
}

// ChangeTopicSet implements directory.
func (d *directoryWorld) ChangeTopicSet(_ context.Context, account string, number int64, change func(*domain.TopicSet) error) (domain.TopicSet, error) {
	return d.topicSets.changeAt(account, number, change)
}

// DeleteTopicSet implements directory.
func (d *directoryWorld) DeleteTopicSet(_ context.Context, account string, number int64) error {
	return d.topicSets.removeAt(account, number)
}

// Skill implements directory.
func (d *directoryWorld) Skill(account string, number int64) (domain.Skill, bool) {
	return d.skills.at(account, number)
}

// Skills implements directory.
func (d *directoryWorld) Skills(account string) []domain.Skill {
	return d.skills.list(account, func(a, b domain.Skill) int { return cmp.Compare(a.Number, b.Number) })
}

// CreateSkill implements directory.
func (d *directoryWorld) CreateSkill(_ context.Context, v domain.Skill) (domain.Skill, error) {
	return d.skills.create(v)
}

// ChangeSkill implements directory.
func (d *directoryWorld) ChangeSkill(_ context.Context, account string, number int64, change func(*domain.Skill) error) (domain.Skill, error) {
	return d.skills.changeAt(account, number, change)
}

// DeleteSkill implements directory.
func (d *directoryWorld) DeleteSkill(_ context.Context, account string, number int64) error {
	return d.skills.removeAt(account, number)
}

// Agent implements directory.
func (d *directoryWorld) Agent(account string, number int64) (domain.Agent, bool) {
	return d.agents.at(account, number)
}

// Agents implements directory.
func (d *directoryWorld) Agents(account string) []domain.Agent {
	return d.agents.list(account, func(a, b domain.Agent) int { return cmp.Compare(a.Number, b.Number) })
}

// CreateAgent implements directory.
func (d *directoryWorld) CreateAgent(_ context.Context, v domain.Agent) (domain.Agent, error) {
	return d.agents.create(v)
}

// ChangeAgent implements directory.
func (d *directoryWorld) ChangeAgent(_ context.Context, account string, number int64, change func(*domain.Agent) error) (domain.Agent, error) {
	return d.agents.changeAt(account, number, change)
}

// DeleteAgent implements directory.
func (d *directoryWorld) DeleteAgent(_ context.Context, account string, number int64) error {
	return d.agents.removeAt(account, number)
}

// Account implements directory.
func (d *directoryWorld) Account(name string) (domain.Account, bool) { return d.accounts.get("", name) }

// Accounts implements directory.
func (d *directoryWorld) Accounts() []domain.Account {
	return d.accounts.list("", func(a, b domain.Account) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
}

// CreateAccount implements directory.
func (d *directoryWorld) CreateAccount(_ context.Context, a domain.Account) (domain.Account, error) {
	return d.accounts.create(a)
}

// ChangeAccount implements directory.
func (d *directoryWorld) ChangeAccount(_ context.Context, name string, change func(*domain.Account) error) (domain.Account, error) {
	return d.accounts.change("", name, change)
}

// APIToken implements directory.
func (d *directoryWorld) APIToken(account, id string) (domain.APIToken, bool) {
	return d.apiTokens.get(account, id)
}

// APITokens implements directory.
func (d *directoryWorld) APITokens(account string) []domain.APIToken {
	return d.apiTokens.list(account, func(a, b domain.APIToken) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}

// APITokenByValue implements directory.
func (d *directoryWorld) APITokenByValue(account, value string) (domain.APIToken, bool) {
	for _, t := range d.APITokens(account) {
		if t.Value == value && !t.Revoked() {
			return t, true
		}
	}
	return domain.APIToken{}, false
}

// CreateAPIToken implements directory.
func (d *directoryWorld) CreateAPIToken(_ context.Context, t domain.APIToken) (domain.APIToken, error) {
	if _, taken := d.APITokenByValue(t.Account, t.Value); taken {
		return t, domain.Errorf(domain.CodeConflict, "there is a token of that value")
	}
	return d.apiTokens.create(t)
}

// RevokeAPIToken implements directory.
func (d *directoryWorld) RevokeAPIToken(_ context.Context, account, id string) (domain.APIToken, error) {
	return d.apiTokens.change(account, id, func(t *domain.APIToken) error {
		if t.RevokedAt == nil {
			t.RevokedAt = &t.CreatedAt
		}
		return nil
	})
}

// SignKeys implements directory.
func (d *directoryWorld) SignKeys(p domain.KeyPurpose) []domain.SignKey {
	all := d.keys.list("", func(a, b domain.SignKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return slices.DeleteFunc(all, func(k domain.SignKey) bool { return k.Purpose != p })
}

// CreateSignKey implements directory.
func (d *directoryWorld) CreateSignKey(_ context.Context, k domain.SignKey) (domain.SignKey, error) {
	return d.keys.create(k)
}

// DeleteSignKey implements directory.
func (d *directoryWorld) DeleteSignKey(_ context.Context, id string) error {
	return d.keys.remove("", id)
}
