package eventstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// channelRecord is the stored form of a channel. Fields are only ever added. The
// API token is the channel's own; one that it has picked stands in its own record.
type channelRecord struct {
	ID            string                `json:"id"`
	Account       string                `json:"account"`
	Dialect       domain.Dialect        `json:"dialect"`
	Name          string                `json:"name"`
	CallbackURL   string                `json:"callback_url"`
	IDType        domain.IDType         `json:"id_type,omitempty"`
	Delivery      domain.DeliveryPolicy `json:"delivery"`
	RatePerSecond int                   `json:"rate_per_second"`
	APIToken      string                `json:"api_token_sealed,omitempty"`
	APITokenID    string                `json:"api_token_id,omitempty"`
	Salt          string                `json:"security_salt_sealed,omitempty"`
	HMACToken     string                `json:"hmac_token_sealed,omitempty"`
	Secret        string                `json:"secret_sealed,omitempty"`
	Desk          *deskRecord           `json:"desk,omitempty"`
	Inbox         *domain.Inbox         `json:"inbox,omitempty"`
	Disabled      bool                  `json:"disabled,omitempty"`
	SkipTLSVerify bool                  `json:"skip_tls_verify,omitempty"`
	CreatedAt     time.Time             `json:"created_at"`
	UpdatedAt     time.Time             `json:"updated_at"`
	Revision      int                   `json:"revision"`
}

// deskRecord is the stored form of a channel's desk.
type deskRecord struct {
	Queue         int64               `json:"queue_id,omitempty"`
	Function      int64               `json:"function_id,omitempty"`
	FallbackQueue int64               `json:"fallback_queue_id,omitempty"`
	CloseAfter    int64               `json:"close_after_s"`
	BotClose      int64               `json:"bot_close_s"`
	UseTags       bool                `json:"use_tags,omitempty"`
	TopicSet      int64               `json:"topic_set_id,omitempty"`
	Skills        []domain.SkillLevel `json:"skills,omitempty"`
}

func newChannels(r *Registry) *shelf[plain, domain.Channel] {
	s := &shelf[plain, domain.Channel]{
		kind: kindChannel, parse: parsePlain,
		key:    func(ch domain.Channel) plain { return plain(ch.ID) },
		group:  func(ch domain.Channel) string { return ch.Account },
		turned: r.indexChannel,
	}
	s.encode, s.decode = stored(r.storeChannel, r.restoreChannel)
	s.keep(r)
	return s
}

// Owners of what is sealed in a channel's record.
func tokenOwner(channel string) string { return kindChannel + "/" + channel + "/api_token" }
func saltOwner(channel string) string  { return kindChannel + "/" + channel + "/security_salt" }

func hmacTokenOwner(channel string) string { return kindChannel + "/" + channel + "/hmac_token" }
func secretOwner(channel string) string    { return kindChannel + "/" + channel + "/secret" }

func (r *Registry) storeChannel(ch domain.Channel) (channelRecord, error) {
	rec := channelRecord{
		ID: ch.ID, Account: ch.Account, Dialect: ch.Dialect, Name: ch.Name, CallbackURL: ch.CallbackURL, IDType: ch.IDType,
		Delivery: ch.Delivery, RatePerSecond: ch.RatePerSecond, APITokenID: ch.APITokenID,
		Disabled: ch.Disabled, SkipTLSVerify: ch.SkipTLSVerify,
		CreatedAt: ch.CreatedAt, UpdatedAt: ch.UpdatedAt, Revision: ch.Revision,
	}
	var err error
	switch {
	case ch.Dialect.HasTickets():
		rec.Inbox = &ch.Inbox
		if rec.HMACToken, err = r.seal(hmacTokenOwner(ch.ID), ch.Credentials.HMACToken); err != nil {
			return rec, err
		}
		rec.Secret, err = r.seal(secretOwner(ch.ID), ch.Credentials.Secret)
	case ch.Dialect.HasEpisodes():
		d := ch.Desk
		rec.Desk = &deskRecord{
			Queue: d.Queue, Function: d.Function, FallbackQueue: d.FallbackQueue, CloseAfter: d.CloseAfter, BotClose: d.BotClose,
			UseTags: d.UseTags, TopicSet: d.TopicSet, Skills: d.Skills,
		}
		rec.Salt, err = r.seal(saltOwner(ch.ID), ch.Credentials.Salt)
	default:
		rec.APIToken, err = r.seal(tokenOwner(ch.ID), ch.Credentials.APIToken)
	}
	return rec, err
}

func (r *Registry) restoreChannel(rec channelRecord) (domain.Channel, error) {
	ch := domain.Channel{
		ID: rec.ID, Account: rec.Account, Dialect: rec.Dialect, Name: rec.Name, CallbackURL: rec.CallbackURL, IDType: rec.IDType,
		Delivery: rec.Delivery, RatePerSecond: rec.RatePerSecond, APITokenID: rec.APITokenID,
		Disabled: rec.Disabled, SkipTLSVerify: rec.SkipTLSVerify,
		CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt, Revision: rec.Revision,
	}
	var err error
	switch {
	case ch.Dialect.HasTickets():
		if rec.Inbox == nil {
			return ch, errNoInbox
		}
		ch.Inbox = *rec.Inbox
		if ch.Credentials.HMACToken, err = r.unseal(hmacTokenOwner(rec.ID), rec.HMACToken); err != nil {
			return ch, err
		}
		ch.Credentials.Secret, err = r.unseal(secretOwner(rec.ID), rec.Secret)
	case ch.Dialect.HasEpisodes():
		if d := rec.Desk; d != nil {
			ch.Desk = domain.Desk{
				Queue: d.Queue, Function: d.Function, FallbackQueue: d.FallbackQueue, CloseAfter: d.CloseAfter, BotClose: d.BotClose,
				UseTags: d.UseTags, TopicSet: d.TopicSet, Skills: d.Skills,
			}
		}
		ch.Credentials.Salt, err = r.unseal(saltOwner(rec.ID), rec.Salt)
	default:
		ch.Credentials.APIToken, err = r.unseal(tokenOwner(rec.ID), rec.APIToken)
	}
	return ch, err
}

// indexChannel keeps the ways to a channel: from its API token, where channels
// have one of their own, and from its inbox. A channel that has picked a token of
// its account has no way of its own: such a token opens a login only
// (voximplant-kit.md 3.1). r.mu is held.
func (r *Registry) indexChannel(old, now *domain.Channel) {
	if old != nil {
		if hash := sha256.Sum256([]byte(old.Credentials.APIToken)); r.byToken[hash] == old {
			delete(r.byToken, hash)
		}
	}
	if now != nil && !now.Dialect.HasEpisodes() && !now.Dialect.HasTickets() {
		r.byToken[sha256.Sum256([]byte(now.Credentials.APIToken))] = now
	}
	r.indexInbox(old, now)
}

// resolved completes a channel by what stands in other records: the value of its
// API token, the waits of its queues, and whether its account is disabled. It
// allocates nothing. r.mu is held.
func (r *Registry) resolved(ch domain.Channel) domain.Channel {
	ch.Disabled = ch.Disabled || r.disabled(ch.Account)
	if !ch.Dialect.HasEpisodes() {
		return ch
	}
	ch.Credentials.APIToken = ""
	if t := r.apiTokens.known[owned{ch.Account, ch.APITokenID}]; t != nil {
		ch.Credentials.APIToken = t.Value
	}
	ch.Desk.Wait, ch.Desk.FallbackWait = r.wait(ch.Account, ch.Desk.Queue), r.wait(ch.Account, ch.Desk.FallbackQueue)
	return ch
}

// wait is the longest wait of a queue, in seconds; 0 when there is none.
func (r *Registry) wait(account string, queue int64) int64 {
	if queue == 0 {
		return 0
	}
	if q := r.queues.known[numbered{account, queue}]; q != nil {
		return q.MaxWait
	}
	return 0
}

// Channel finds a channel by its id. Where the dialect has them, the value of its
// API token and the waits of its queues are those of now. The channel of a
// disabled account is disabled.
func (r *Registry) Channel(id string) (domain.Channel, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ch := r.channels.known[plain(id)]
	if ch == nil {
		return domain.Channel{}, false
	}
	return r.resolved(*ch), true
}

// ChannelByToken finds the channel that an API token belongs to, where channels
// have tokens of their own (respond-io.md 2). One that is disabled is not found.
// The look-up goes by hash and the comparison takes the same time for every token.
func (r *Registry) ChannelByToken(token string) (domain.Channel, bool) {
	if token == "" {
		return domain.Channel{}, false
	}
	hash := sha256.Sum256([]byte(token))
	r.mu.RLock()
	defer r.mu.RUnlock()
	ch := r.byToken[hash]
	if ch == nil || subtle.ConstantTimeCompare([]byte(ch.Credentials.APIToken), []byte(token)) != 1 {
		return domain.Channel{}, false
	}
	found := r.resolved(*ch)
	if found.Disabled {
		return domain.Channel{}, false
	}
	return found, true
}

// Channels lists the channels of an account, oldest first; all of them when account is "".
func (r *Registry) Channels(account string) []domain.Channel {
	list := r.resolvedChannels(account)
	slices.SortFunc(list, func(a, b domain.Channel) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func (r *Registry) resolvedChannels(account string) []domain.Channel {
	r.mu.RLock()
	defer r.mu.RUnlock()
	wanted := r.channels.groups[account]
	if account == "" {
		wanted = r.channels.known
	}
	var list []domain.Channel
	for _, ch := range wanted {
		list = append(list, r.resolved(*ch))
	}
	return list
}

// CreateChannel makes a channel known; CodeConflict when its id is taken, or what
// it is known by as an inbox.
func (r *Registry) CreateChannel(ctx context.Context, ch domain.Channel) (domain.Channel, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Channel{}, err
	}
	defer r.end()
	if _, taken := r.channels.get(plain(ch.ID)); taken {
		return domain.Channel{}, r.channels.taken(plain(ch.ID))
	}
	now := domain.Stamp(r.now())
	ch.Revision, ch.CreatedAt, ch.UpdatedAt = 1, now, now
	return r.putChannel(ctx, ch)
}

// ChangeChannel changes a channel; CodeNotFound when there is none. change gets a
// copy, with Disabled as it is set for the channel itself. Settings are validated
// after it.
func (r *Registry) ChangeChannel(ctx context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error) {
	if err := r.begin(ctx); err != nil {
		return domain.Channel{}, err
	}
	defer r.end()
	kept, ok := r.channels.get(plain(id))
	if !ok {
		return domain.Channel{}, r.channels.missing(plain(id))
	}
	ch := r.asOfNow(kept)
	ch.Disabled = kept.Disabled
	ch.Delivery.Schedule, ch.Desk.Skills = slices.Clone(ch.Delivery.Schedule), slices.Clone(ch.Desk.Skills)
	ch.Inbox = ownInbox(ch.Inbox)
	if err := change(&ch); err != nil {
		return domain.Channel{}, err
	}
	ch.ID, ch.Account, ch.Revision, ch.CreatedAt = id, kept.Account, kept.Revision+1, kept.CreatedAt
	ch.UpdatedAt = domain.Stamp(r.now())
	return r.putChannel(ctx, ch)
}

// DeleteChannel forgets a channel, and what was decided about its callback; its
// history stays. CodeNotFound when there is none.
func (r *Registry) DeleteChannel(ctx context.Context, id string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.end()
	ch, ok := r.channels.get(plain(id))
	if !ok {
		return r.channels.missing(plain(id))
	}
	if err := r.channels.drop(ctx, ch); err != nil {
		return err
	}
	return r.endEndpoint(ctx, ch.Account, ch.ID)
}

func (r *Registry) putChannel(ctx context.Context, ch domain.Channel) (domain.Channel, error) {
	if err := ch.Validate(); err != nil {
		return domain.Channel{}, err
	}
	if err := r.fitsInbox(ch); err != nil {
		return domain.Channel{}, err
	}
	if err := r.channels.put(ctx, ch); err != nil {
		return domain.Channel{}, err
	}
	return r.asOfNow(ch), nil
}

// asOfNow is resolved for who does not hold r.mu.
func (r *Registry) asOfNow(ch domain.Channel) domain.Channel {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.resolved(ch)
}
