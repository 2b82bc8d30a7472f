package eventstore

import (
	"errors"
	"maps"
	"slices"

	"github.com/parley-im/parley/domain"
)

var errNoInbox = errors.New("it has no inbox, as channels of its dialect must")

// indexInbox keeps the ways from an inbox's number and identifier to its channel.
// r.mu is held.
func (r *Registry) indexInbox(old, now *domain.Channel) {
	if old != nil {
		if r.byInbox[old.Inbox.Number] == old {
			delete(r.byInbox, old.Inbox.Number)
		}
		if r.byIdentifier[old.Inbox.Identifier] == old {
			delete(r.byIdentifier, old.Inbox.Identifier)
		}
	}
	if now != nil && now.Dialect.HasTickets() {
		r.byInbox[now.Inbox.Number], r.byIdentifier[now.Inbox.Identifier] = now, now
	}
}

// ChannelByInbox finds a channel of an account by its inbox number, which is one
// of the installation.
func (r *Registry) ChannelByInbox(account string, number int64) (domain.Channel, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ch := r.byInbox[number]
	if ch == nil || ch.Account != account {
		return domain.Channel{}, false
	}
	return r.resolved(*ch), true
}

// ChannelByIdentifier finds a channel by the token that names its inbox in the
// client API (channelx.md 5.1). One that is disabled is not found.
func (r *Registry) ChannelByIdentifier(identifier string) (domain.Channel, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ch := r.byIdentifier[identifier]
	if ch == nil {
		return domain.Channel{}, false
	}
	found := r.resolved(*ch)
	if found.Disabled {
		return domain.Channel{}, false
	}
	return found, true
}

// LastInbox is the highest number that any inbox has, 0 when there is none: numbers
// that are brought along do not come from the counter.
func (r *Registry) LastInbox() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var last int64
	for number := range r.byInbox {
		last = max(last, number)
	}
	return last
}

// fitsInbox tells whether an inbox is known by nothing that another is known by.
func (r *Registry) fitsInbox(ch domain.Channel) error {
	if !ch.Dialect.HasTickets() {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if other := r.byInbox[ch.Inbox.Number]; other != nil && other.ID != ch.ID {
		return &domain.Error{Code: domain.CodeConflict, Field: "inbox_id", Message: "is that of another inbox"}
	}
	if other := r.byIdentifier[ch.Inbox.Identifier]; other != nil && other.ID != ch.ID {
		return &domain.Error{Code: domain.CodeConflict, Field: "inbox_identifier", Message: "is that of another inbox"}
	}
	return nil
}

// ownInbox gives a copy of an inbox slices and objects of its own.
func ownInbox(i domain.Inbox) domain.Inbox {
	i.Additional, i.CSATConfig = maps.Clone(i.Additional), maps.Clone(i.CSATConfig)
	i.Hours, i.Members = slices.Clone(i.Hours), slices.Clone(i.Members)
	return i
}
