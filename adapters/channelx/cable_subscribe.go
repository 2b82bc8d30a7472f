package channelx

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

// How long a token is looked up while the rows cannot be read. A client that is
// told no gives up for good, so one that cannot be answered is asked to connect
// anew instead.
const (
	lookupWithin = 5 * time.Second // one try
	lookupTries  = 4
	lookupPause  = time.Second // before the second try, growing
)

// subscribe answers a subscribe: with a confirmation once the socket is shown what
// is appended from then on, or with a rejection (channelx.md 7.2).
func (s *socket) subscribe(ctx context.Context, identifier []byte) {
	if i := s.find(identifier); i >= 0 {
		if s.cable.index.has(s.subscriptions[i]) {
			// The standard client asks again until it is confirmed.
			s.send(frameConfirm, nil, answerFrame(identifier, frameConfirm))
			return
		}
		s.subscriptions = slices.Delete(s.subscriptions, i, i+1) // it was ended from this side
	}
	if len(s.subscriptions) >= maxSubscriptions {
		s.send(frameReject, nil, answerFrame(identifier, frameReject))
		return
	}
	sub, err := s.cable.entry(ctx, identifier)
	switch {
	case ctx.Err() != nil:
		return
	case notFound(err):
		s.send(frameReject, nil, answerFrame(identifier, frameReject))
		return
	case err != nil:
		s.cable.logger.Warn("cable.lookup_failed", "error", err, "next", "the client is asked to connect anew")
		s.dismiss(cutRows)
		return
	}
	sub.socket, sub.identifier = s, slices.Clone(identifier)
	// Confirmed and listed at once: nothing is shown before, nothing is left out after.
	if !s.cable.index.add(sub, func() { s.send(frameConfirm, nil, answerFrame(sub.identifier, frameConfirm)) }) {
		s.send(frameReject, nil, answerFrame(identifier, frameReject))
		return
	}
	s.subscriptions = append(s.subscriptions, sub)
	s.cable.metrics.subscriptions.Inc()
	s.cable.attend(ctx, sub)
}

// unsubscribe takes a subscription back. There is no answer.
func (s *socket) unsubscribe(identifier []byte) {
	i := s.find(identifier)
	if i < 0 {
		return
	}
	if s.cable.index.remove(s.subscriptions[i]) {
		s.cable.metrics.subscriptions.Dec()
	}
	s.subscriptions = slices.Delete(s.subscriptions, i, i+1)
}

// entry finds who an identifier lets in; CodeNotFound for nobody. While the rows
// cannot be read it tries again for a while.
func (c *cable) entry(ctx context.Context, identifier []byte) (*subscription, error) {
	who, ok := readIdentifier(identifier)
	if !ok {
		return nil, errNotThere
	}
	if who.user != 0 {
		return c.userEntry(who)
	}
	for try := 1; ; try++ {
		sub, err := c.contactEntry(ctx, who.token)
		if err == nil || notFound(err) || try == lookupTries {
			return sub, err
		}
		select {
		case <-time.After(time.Duration(try) * lookupPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// userEntry lets an operator in whose token it is.
func (c *cable) userEntry(who ticketOfEntry) (*subscription, error) {
	account, ok := c.cfg.Directory.AccountByNumber(who.account)
	if !ok {
		return nil, errNotThere
	}
	token := c.cfg.Minter.SocketToken(operatorOwner(account.Name, who.user))
	if subtle.ConstantTimeCompare([]byte(token), []byte(who.token)) != 1 || !c.crew.of(account.Name).has(who.user) {
		return nil, errNotThere
	}
	return &subscription{account: account.Name, operator: who.user}, nil
}

// contactEntry lets an identity in whose token it is. Rows have only a hash of the
// token.
func (c *cable) contactEntry(ctx context.Context, token string) (*subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	if err := c.abreast.wait(ctx); err != nil {
		return nil, err
	}
	select {
	case c.lookups <- struct{}{}:
		defer func() { <-c.lookups }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	hash := domain.HashSecret(token)
	identity, person, account, err := c.cfg.People.IdentityByToken(ctx, hex.EncodeToString(hash[:]))
	if err != nil {
		return nil, err
	}
	a, known := c.cfg.Directory.Account(account)
	ch, there := c.cfg.Inboxes.Channel(identity.Channel)
	if !known || a.Disabled || !there || ch.Disabled {
		return nil, errNotThere
	}
	return &subscription{account: account, identity: identity.ID, person: person.ID, verified: identity.Verified}, nil
}

// dismissSubscriptions tells clients that they listen to nothing any more.
func (c *cable) dismissSubscriptions(list []*subscription) {
	for _, sub := range list {
		c.metrics.subscriptions.Dec()
		sub.socket.send(frameReject, nil, answerFrame(sub.identifier, frameReject))
	}
}

// attend notes that whoever listens is there, and tells them who else is
// (channelx.md 7.3).
func (c *cable) attend(ctx context.Context, sub *subscription) {
	c.index.mu.RLock()
	person, listed := sub.person, sub.listed
	c.index.mu.RUnlock()
	if !listed {
		return
	}
	if sub.operator == 0 {
		c.roll.note(sub.account, domain.PresentContact, person)
	} else {
		if !c.crew.of(sub.account).has(sub.operator) {
			if c.index.remove(sub) {
				c.dismissSubscriptions([]*subscription{sub})
			}
			return
		}
		c.roll.note(sub.account, domain.PresentOperator, sub.operator)
	}
	told, err := c.attendance(ctx, sub)
	if err != nil {
		c.logger.Warn("cable.presence_failed", "account", sub.account, "error", err)
		return
	}
	sub.socket.send(framePresence, sub.identifier, told)
}

// presenceForm is who is there, by number. Contacts are shown to operators alone.
type presenceForm struct {
	AccountID int64             `json:"account_id"`
	Users     map[string]string `json:"users"`
	Contacts  map[string]string `json:"contacts,omitzero"`
}

// attendance is what a subscription is told of who is there.
func (c *cable) attendance(ctx context.Context, sub *subscription) ([]byte, error) {
	account, _ := c.cfg.Directory.Account(sub.account)
	form := presenceForm{AccountID: account.WireNumber(), Users: map[string]string{}}
	operators, err := c.roll.Present(ctx, sub.account, domain.PresentOperator, c.now().Add(-operatorsStay))
	if err != nil {
		return nil, err
	}
	muster := c.crew.of(sub.account)
	for _, id := range operators {
		if muster.has(id) {
			form.Users[strconv.FormatInt(id, 10)] = online
		}
	}
	if sub.operator != 0 {
		contacts, err := c.roll.Present(ctx, sub.account, domain.PresentContact, c.now().Add(-contactsStay))
		if err != nil {
			return nil, err
		}
		form.Contacts = make(map[string]string, len(contacts))
		for _, id := range contacts {
			form.Contacts[strconv.FormatInt(id, 10)] = online
		}
	}
	return json.Marshal(cableEvent{Event: "presence.update", Data: form})
}
