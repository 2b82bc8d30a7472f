package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/domain"
)

// Kinds of records in the topic of channels. A record is named after its kind and
// the key of the thing: "channel/<id>", "queue/<account>/<number>".
const (
	kindAccount  = "account"
	kindAgent    = "agent"
	kindAPIToken = "api-token"
	kindChannel  = "channel"
	kindEndpoint = "endpoint"
	kindFunction = "function"
	kindQueue    = "queue"
	kindSignKey  = "sign-key"
	kindSkill    = "skill"
	kindTag      = "tag"

	kindSubscription = "subscription"

	kindToken    = "token"
	kindTopicSet = "topic-set"
	kindWebhook  = "webhook"
)

// recordTypes has the stored name of each kind. A name never changes its meaning.
// A record without a value tells that the thing is gone.
var recordTypes = map[string]string{
	kindAccount:  "account.changed.v1",
	kindAgent:    "agent.changed.v1",
	kindAPIToken: "api-token.changed.v1",
	kindChannel:  "channel.changed.v1",
	kindEndpoint: "endpoint.changed.v1",
	kindFunction: "function.changed.v1",
	kindQueue:    "queue.changed.v1",
	kindSignKey:  "sign-key.changed.v1",
	kindSkill:    "skill.changed.v1",
	kindTag:      "tag.changed.v1",

	kindSubscription: "subscription.changed.v1",

	kindToken:    "token.changed.v1",
	kindTopicSet: "topic-set.changed.v1",
	kindWebhook:  "webhook.changed.v1",
}

// RecordTypes lists the stored names in the topic of channels, sorted.
func RecordTypes() []string {
	var names []string
	for _, name := range recordTypes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Registry holds in memory all that an installation and its accounts have set up,
// as the topic of channels tells it: channels, tokens, queues, agents and so on.
// So authentication needs no database. Every node follows the whole topic. A
// change is appended, and answered when this node's own memory has it; other
// nodes follow within milliseconds. Of two changes of one thing on two nodes at
// the same moment the later record wins whole.
//
// What is given out shares slices with the memory: they are not to be written
// into. The function that a Change... method calls gets slices of its own.
type Registry struct {
	topic     string
	publisher message.Publisher
	position  Position
	sealer    *Sealer
	now       func() time.Time
	log       *slog.Logger
	fixed     []domain.Token // from the configuration, not from the log

	change chan struct{} // holds one token while a change is under way: one at a time on this node

	shelves map[string]interface { // by kind; set once
		apply(name string, value []byte, err error) error
	}

	mu        sync.RWMutex // guards what is on the shelves, and all below
	accounts  *shelf[plain, domain.Account]
	agents    *directory[domain.Agent]
	apiTokens *shelf[owned, domain.APIToken]
	channels  *shelf[plain, domain.Channel]
	endpoints *shelf[plain, domain.Endpoint]
	functions *directory[domain.Function]
	queues    *directory[domain.Queue]
	signKeys  *shelf[plain, domain.SignKey]
	skills    *directory[domain.Skill]
	tags      *directory[domain.Tag]
	tokens    *shelf[plain, domain.Token]
	topicSets *directory[domain.TopicSet]
	webhooks  *directory[domain.Webhook]

	subscriptions    *shelf[owned, domain.Subscription]
	subscriptionByID map[string]*domain.Subscription

	byToken      map[[32]byte]*domain.Channel // by SHA-256 of the channel's own API token
	byHash       map[[32]byte]*domain.Token   // by SHA-256 of the platform token
	byNumber     map[int64]*domain.Account    // by domain.Account.WireNumber
	byInbox      map[int64]*domain.Channel    // by number
	byIdentifier map[string]*domain.Channel   // by what names an inbox in the client API
	signKeyLists map[domain.KeyPurpose][]domain.SignKey
	next         int64         // first offset that is not in memory yet
	moved        chan struct{} // closed when next moves
}

// RegistryConfig wires a Registry.
type RegistryConfig struct {
	Topic     string // of channels
	Publisher message.Publisher
	Position  Position
	Sealer    *Sealer
	Now       func() time.Time
	Logger    *slog.Logger
	// Fixed are tokens that exist by configuration, such as the admin token.
	Fixed []domain.Token
}

// NewRegistry makes an empty Registry; Follow fills it.
func NewRegistry(cfg RegistryConfig) *Registry {
	r := &Registry{
		topic: cfg.Topic, publisher: cfg.Publisher, position: cfg.Position, sealer: cfg.Sealer, now: cfg.Now, log: cfg.Logger,
		fixed: cfg.Fixed, change: make(chan struct{}, 1), moved: make(chan struct{}),
		shelves: map[string]interface {
			apply(name string, value []byte, err error) error
		}{},
		byToken: map[[32]byte]*domain.Channel{}, byHash: map[[32]byte]*domain.Token{},
		byNumber: map[int64]*domain.Account{}, byInbox: map[int64]*domain.Channel{}, byIdentifier: map[string]*domain.Channel{},
		signKeyLists: map[domain.KeyPurpose][]domain.SignKey{},
	}
	r.accounts, r.agents, r.apiTokens, r.channels = newAccounts(r), newAgents(r), newAPITokens(r), newChannels(r)
	r.endpoints = newEndpoints(r)
	r.functions, r.queues, r.signKeys, r.skills = newFunctions(r), newQueues(r), newSignKeys(r), newSkills(r)
	r.tags, r.tokens, r.topicSets, r.webhooks = newTags(r), newTokens(r), newTopicSets(r), newWebhooks(r)
	r.subscriptions, r.subscriptionByID = newSubscriptions(r), map[string]*domain.Subscription{}
	return r
}

// Follow takes records of the topic of channels, which has one partition, from
// its start, until msgs is closed.
func (r *Registry) Follow(msgs <-chan *message.Message) {
	for msg := range msgs {
		_, offset, _ := r.position(msg)
		if err := r.apply(msg); err != nil {
			// The others must go on: what cannot be read does not exist.
			r.log.Error("registry.record_unreadable", "record", Key(msg), "offset", offset, "error", err)
		}
		r.mu.Lock()
		r.next = offset + 1
		close(r.moved)
		r.moved = make(chan struct{})
		r.mu.Unlock()
		msg.Ack()
	}
}

// apply puts one record into memory.
func (r *Registry) apply(msg *message.Message) error {
	kind, name, _ := strings.Cut(Key(msg), "/")
	shelf, ok := r.shelves[kind]
	if !ok {
		return nil // of a newer Parley, or somebody else's
	}
	var newer error
	if stored := msg.Metadata.Get(headerType); stored != recordTypes[kind] {
		newer = fmt.Errorf("this version does not know %q", stored)
	}
	return shelf.apply(name, msg.Payload, newer)
}

// Reached waits until the memory holds everything below the offset.
func (r *Registry) Reached(ctx context.Context, offset int64) error {
	for {
		r.mu.RLock()
		next, moved := r.next, r.moved
		r.mu.RUnlock()
		if next >= offset {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for the registry to reach %d of %d: %w", offset, next, ctx.Err())
		}
	}
}

// begin waits until no other change is under way on this node.
func (r *Registry) begin(ctx context.Context) error {
	select {
	case r.change <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

func (r *Registry) end() { <-r.change }

// put appends a record, or a tombstone when value is nil, and waits until this
// node has it in memory. After an error with CodeUnavailable the change may or
// may not be made. If the process dies here, the change is made when the log has
// it and not made otherwise.
func (r *Registry) put(ctx context.Context, account, name string, value []byte) error {
	msg := message.NewMessage(watermill.NewUUID(), value)
	kind, _, _ := strings.Cut(name, "/")
	stamp(msg, recordTypes[kind], "/accounts/"+account, name, r.now())
	msg.SetContext(ctx)
	if err := r.publisher.Publish(r.topic, msg); err != nil {
		return unavailable(err)
	}
	_, offset, ok := r.position(msg)
	if !ok {
		return errors.New("the log told no position for a change of the registry")
	}
	if err := r.Reached(ctx, offset+1); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(cause error) *domain.Error {
	return &domain.Error{
		Code: domain.CodeUnavailable, Message: "the log does not take changes at the moment; repeat the request",
		RetryAfter: RetryAfter, Err: cause,
	}
}

// seal hides a secret in the record of its owner.
func (r *Registry) seal(owner, secret string) (string, error) {
	sealed, err := r.sealer.Seal(owner, []byte(secret))
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", owner, err)
	}
	return sealed, nil
}

// unseal undoes seal.
func (r *Registry) unseal(owner, sealed string) (string, error) {
	plain, err := r.sealer.Open(owner, sealed)
	if err != nil {
		return "", fmt.Errorf("open %s (is PARLEY_SECRET_KEY the right one?): %w", owner, err)
	}
	return string(plain), nil
}
