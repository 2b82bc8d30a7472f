package eventstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/domain"
)

// Registry holds all channels and tokens in memory, as the topic of channels
// tells them, so that authentication needs no database. Every node follows the
// whole topic. A change is appended, and answered when this node's own memory
// has it; other nodes follow within milliseconds. Of two changes of one thing on
// two nodes at the same moment the later record wins whole.
type Registry struct {
	topic     string
	publisher message.Publisher
	position  Position
	sealer    *Sealer
	now       func() time.Time
	log       *slog.Logger

	change chan struct{} // holds one token while a change is under way: one at a time on this node

	mu       sync.RWMutex
	channels map[string]domain.Channel
	byToken  map[[32]byte]string // SHA-256 of a channel's API token → channel id
	tokens   map[string]domain.Token
	byHash   map[[32]byte]string // SHA-256 of a platform token → token id
	fixed    []domain.Token      // from the configuration, not from the log
	next     int64               // first offset that is not in memory yet
	moved    chan struct{}       // closed when next moves
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
	return &Registry{
		topic: cfg.Topic, publisher: cfg.Publisher, position: cfg.Position, sealer: cfg.Sealer, now: cfg.Now, log: cfg.Logger,
		channels: map[string]domain.Channel{}, byToken: map[[32]byte]string{},
		tokens: map[string]domain.Token{}, byHash: map[[32]byte]string{}, fixed: cfg.Fixed,
		change: make(chan struct{}, 1), moved: make(chan struct{}),
	}
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

// Channel finds a channel by its id.
func (r *Registry) Channel(id string) (domain.Channel, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ch, ok := r.channels[id]
	return ch, ok
}

// ChannelByToken finds the channel that an API token belongs to. The look-up
// goes by hash and the comparison takes the same time for every token.
func (r *Registry) ChannelByToken(token string) (domain.Channel, bool) {
	if token == "" {
		return domain.Channel{}, false
	}
	hash := sha256.Sum256([]byte(token))
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, ok := r.byToken[hash]
	ch := r.channels[id]
	if !ok || subtle.ConstantTimeCompare([]byte(ch.Credentials.APIToken), []byte(token)) != 1 {
		return domain.Channel{}, false
	}
	return ch, true
}

// Channels lists the channels of an account, oldest first; all of them when account is "".
func (r *Registry) Channels(account string) []domain.Channel {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []domain.Channel
	for _, ch := range r.channels {
		if account == "" || ch.Account == account {
			list = append(list, ch)
		}
	}
	slices.SortFunc(list, func(a, b domain.Channel) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// CreateChannel makes a channel known; CodeConflict when its id is taken.
func (r *Registry) CreateChannel(ctx context.Context, ch domain.Channel) (domain.Channel, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Channel{}, err
	}
	defer r.end()
	if _, taken := r.Channel(ch.ID); taken {
		return domain.Channel{}, domain.Errorf(domain.CodeConflict, "channel %s is there already", ch.ID)
	}
	now := domain.Stamp(r.now())
	ch.Revision, ch.CreatedAt, ch.UpdatedAt = 1, now, now
	return ch, r.putChannel(ctx, ch)
}

// ChangeChannel changes a channel; CodeNotFound when there is none. change gets a
// copy and replaces slices rather than writing into them. Settings are validated
// after it.
func (r *Registry) ChangeChannel(ctx context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Channel{}, err
	}
	defer r.end()
	ch, ok := r.Channel(id)
	if !ok {
		return domain.Channel{}, domain.Errorf(domain.CodeNotFound, "there is no channel %s", id)
	}
	revision := ch.Revision
	if err := change(&ch); err != nil {
		return domain.Channel{}, err
	}
	ch.ID, ch.Revision, ch.UpdatedAt = id, revision+1, domain.Stamp(r.now())
	return ch, r.putChannel(ctx, ch)
}

// DeleteChannel forgets a channel; its history stays. CodeNotFound when there is none.
func (r *Registry) DeleteChannel(ctx context.Context, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	ch, ok := r.Channel(id)
	if !ok {
		return domain.Errorf(domain.CodeNotFound, "there is no channel %s", id)
	}
	return r.put(ctx, ch.Account, kindChannel+id, nil)
}

func (r *Registry) putChannel(ctx context.Context, ch domain.Channel) error {
	if err := ch.Validate(); err != nil {
		return err
	}
	value, err := encodeChannel(r.sealer, ch)
	if err != nil {
		return err
	}
	return r.put(ctx, ch.Account, kindChannel+ch.ID, value)
}

// Token finds a platform token by its secret.
func (r *Registry) Token(secret string) (domain.Token, bool) {
	if secret == "" {
		return domain.Token{}, false
	}
	hash := sha256.Sum256([]byte(secret))
	for _, t := range r.fixed {
		if subtle.ConstantTimeCompare(t.Hash[:], hash[:]) == 1 {
			return t, true
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, ok := r.byHash[hash]
	return r.tokens[id], ok
}

// Tokens lists the platform tokens of an account, oldest first, without those
// that exist by configuration.
func (r *Registry) Tokens(account string) []domain.Token {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []domain.Token
	for _, t := range r.tokens {
		if t.Account == account {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b domain.Token) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// CreateToken makes a platform token known.
func (r *Registry) CreateToken(ctx context.Context, t domain.Token) (domain.Token, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Token{}, err
	}
	defer r.end()
	t.CreatedAt = domain.Stamp(r.now())
	value, err := encodeToken(t)
	if err != nil {
		return domain.Token{}, err
	}
	return t, r.put(ctx, t.Account, kindToken+t.ID, value)
}

// DeleteToken revokes a platform token; CodeNotFound when the account has none of that id.
func (r *Registry) DeleteToken(ctx context.Context, account, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	r.mu.RLock()
	t, ok := r.tokens[id]
	r.mu.RUnlock()
	if !ok || t.Account != account {
		return domain.Errorf(domain.CodeNotFound, "there is no token %s", id)
	}
	return r.put(ctx, account, kindToken+id, nil)
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
	stamp(msg, typeOf(name), "/accounts/"+account, name, r.now())
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
