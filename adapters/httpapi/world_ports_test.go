package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Token implements tokens.
func (w *world) Token(secret string) (domain.Token, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tokens {
		if t.Hash == domain.HashSecret(secret) {
			return t, true
		}
	}
	return domain.Token{}, false
}

// Tokens implements tokenAdmin.
func (w *world) Tokens(account string) []domain.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.Token
	for _, t := range w.tokens {
		if t.Account == account {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b domain.Token) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// CreateToken implements tokenAdmin.
func (w *world) CreateToken(_ context.Context, t domain.Token) (domain.Token, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[t.ID] = t
	return t, nil
}

// DeleteToken implements tokenAdmin.
func (w *world) DeleteToken(_ context.Context, account, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tokens[id].Account != account {
		return domain.Errorf(domain.CodeNotFound, "there is no token %s", id)
	}
	delete(w.tokens, id)
	return nil
}

// Channel implements registry.
func (w *world) Channel(id string) (domain.Channel, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch, ok := w.channels[id]
	return w.resolved(ch), ok
}

// resolved completes a channel as the registry does.
func (w *world) resolved(ch domain.Channel) domain.Channel {
	if ch.Dialect.HasEpisodes() {
		t, _ := w.APIToken(ch.Account, ch.APITokenID)
		q, _ := w.Queue(ch.Account, ch.Desk.Queue)
		ch.Credentials.APIToken, ch.Desk.Wait = t.Value, q.MaxWait
	}
	return ch
}

// Channels implements registry.
func (w *world) Channels(account string) []domain.Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []domain.Channel
	for _, ch := range w.channels {
		if ch.Account == account || account == "" {
			list = append(list, w.resolved(ch))
		}
	}
	slices.SortFunc(list, func(a, b domain.Channel) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// CreateChannel implements registry.
func (w *world) CreateChannel(_ context.Context, ch domain.Channel) (domain.Channel, error) {
	now := w.time()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.appendErr != nil {
		return domain.Channel{}, w.appendErr
	}
	if _, taken := w.channels[ch.ID]; taken {
		return domain.Channel{}, domain.Errorf(domain.CodeConflict, "taken")
	}
	for _, other := range w.channels {
		switch {
		case !ch.Dialect.HasTickets():
		case other.Inbox.Number == ch.Inbox.Number:
			return domain.Channel{}, &domain.Error{Code: domain.CodeConflict, Field: "inbox_id", Message: "taken"}
		case other.Inbox.Identifier == ch.Inbox.Identifier:
			return domain.Channel{}, &domain.Error{Code: domain.CodeConflict, Field: "inbox_identifier", Message: "taken"}
		}
	}
	ch.Revision, ch.CreatedAt, ch.UpdatedAt = 1, now, now
	w.channels[ch.ID] = ch
	return ch, nil
}

// ChangeChannel implements registry.
func (w *world) ChangeChannel(_ context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.channels[id]
	if err := change(&ch); err != nil {
		return domain.Channel{}, err
	}
	ch.Revision++
	w.channels[id] = ch
	return w.resolved(ch), nil
}

// LastInbox implements registry.
func (w *world) LastInbox() int64 {
	var last int64
	for _, ch := range w.Channels("") {
		last = max(last, ch.Inbox.Number)
	}
	return last
}

// DeleteChannel implements registry.
func (w *world) DeleteChannel(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.channels, id)
	return nil
}

// Append implements log; an event that is there already changes nothing.
func (w *world) Append(_ context.Context, events ...domain.Event) ([]domain.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.appendErr != nil {
		return nil, w.appendErr
	}
	var positions []domain.Position
	for _, e := range events {
		r := domain.Recorded{Event: e, Position: domain.Position{Offset: int64(len(w.events))}}
		w.events = append(w.events, r)
		positions = append(positions, r.Position)
		w.thread.Apply(r)
		episode := w.episodes[e.Stream()]
		if episode == nil {
			episode = &domain.Episode{}
			w.episodes[e.Stream()] = episode
		}
		took := episode.Apply(r)
		if d, ok := domain.DeliveryOf(r, episode, took); ok && w.deliveries[d.ID] == nil {
			w.deliveries[d.ID] = &d
		}
		switch data := e.Data.(type) {
		case domain.DeliveryAttempted:
			w.deliveries[data.DeliveryID].Apply(r)
			w.attempts[data.DeliveryID] = append(w.attempts[data.DeliveryID], domain.Attempt{
				Number: data.Attempt, StartedAt: data.StartedAt, Verdict: data.Verdict, Reason: data.Reason,
				HTTPStatus: data.HTTPStatus, Detail: data.Detail, Response: data.Response,
			})
		case domain.DeliveryRedriven:
			w.deliveries[data.DeliveryID].Apply(r)
		case domain.DeliveryDropped:
			w.deliveries[data.DeliveryID].Apply(r)
		}
	}
	return positions, nil
}

// part pages through a sorted list by index.
func part[T any](all []T, p domain.Page) ([]T, string, error) {
	start := 0
	if p.After != "" {
		var err error
		if start, err = strconv.Atoi(p.After); err != nil {
			return nil, "", domain.Invalid("cursor", "cannot be read")
		}
	}
	end := min(start+p.Limit, len(all))
	if end < len(all) {
		return all[start:end], strconv.Itoa(end), nil
	}
	return all[start:end], "", nil
}

// Contacts implements reads.
func (w *world) Contacts(_ context.Context, f domain.ContactFilter, p domain.Page) ([]domain.Contact, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []domain.Contact
	for _, c := range w.thread.Contacts {
		if c.Account == f.Account && (f.Channel == "" || c.Channel == f.Channel) && strings.Contains(c.Ref, f.Search) {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b domain.Contact) int { return cmp.Compare(a.Ref, b.Ref) })
	list, next, err := part(all, p)
	return list, next, cmp.Or(w.readErr, err)
}

// Contact implements reads.
func (w *world) Contact(_ context.Context, account string, id uuid.UUID) (domain.Contact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.thread.Contacts[id]
	if w.readErr != nil || c == nil || c.Account != account {
		return domain.Contact{}, cmp.Or(w.readErr, notFound("contact", id.String()))
	}
	return *c, nil
}

// Conversations implements reads.
func (w *world) Conversations(_ context.Context, f domain.ConversationFilter, p domain.Page) ([]domain.Conversation, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []domain.Conversation
	for _, c := range w.thread.Conversations {
		if c.Account == f.Account && (f.Channel == "" || c.Channel == f.Channel) && (f.Status == "" || c.Status == f.Status) &&
			(f.Contact == "" || c.ContactRef == f.Contact) && (f.Handler == "" || c.Handler == f.Handler) &&
			(f.Agent == "" || c.AgentID == f.Agent) && (f.Queue == 0 || c.Handler == domain.HandlerQueue && c.State.Queue == f.Queue) &&
			(f.Tag == 0 || c.State != nil && slices.Contains(c.State.Tags, f.Tag)) {
			all = append(all, *c)
		}
	}
	// The cursor is a place in the order, so it holds when conversations leave the list.
	key := func(c domain.Conversation) string { return c.LastMessageAt.Format(time.RFC3339Nano) + c.ID.String() }
	slices.SortFunc(all, func(a, b domain.Conversation) int { return cmp.Compare(key(b), key(a)) })
	if p.After != "" {
		if len(p.After) < 40 {
			return nil, "", domain.Invalid("cursor", "cannot be read")
		}
		all = slices.DeleteFunc(all, func(c domain.Conversation) bool { return key(c) >= p.After })
	}
	if len(all) <= p.Limit {
		return all, "", w.readErr
	}
	return all[:p.Limit], key(all[p.Limit-1]), w.readErr
}

// Conversation implements reads.
func (w *world) Conversation(_ context.Context, account string, id uuid.UUID) (domain.Conversation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.thread.Conversations[id]
	if w.readErr != nil || c == nil || c.Account != account {
		return domain.Conversation{}, cmp.Or(w.readErr, notFound("conversation", id.String()))
	}
	return *c, nil
}

// Messages implements reads.
func (w *world) Messages(_ context.Context, account string, conversation uuid.UUID, p domain.Page) ([]domain.Message, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []domain.Message
	for _, m := range w.thread.Messages {
		if m.Account == account && m.Conversation == conversation {
			all = append(all, *m)
		}
	}
	slices.SortFunc(all, func(a, b domain.Message) int { return cmp.Compare(a.Position.Offset, b.Position.Offset) })
	list, next, err := part(all, p)
	return list, next, cmp.Or(w.readErr, err)
}

// Message implements reads.
func (w *world) Message(_ context.Context, account string, id uuid.UUID) (domain.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.thread.Messages[id]
	if w.readErr != nil || m == nil || m.Account != account {
		return domain.Message{}, cmp.Or(w.readErr, notFound("message", id.String()))
	}
	return *m, nil
}

// Deliveries implements deliveries.
func (w *world) Deliveries(_ context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []domain.Delivery
	for _, d := range w.deliveries {
		if d.Account == f.Account && (f.Channel == "" || d.Channel == f.Channel) && (f.State == "" || d.State == f.State) &&
			(f.Kind == "" || d.Kind == f.Kind) {
			all = append(all, *d)
		}
	}
	slices.SortFunc(all, func(a, b domain.Delivery) int { return cmp.Compare(b.Position.Offset, a.Position.Offset) })
	list, next, err := part(all, p)
	return list, next, cmp.Or(w.readErr, err)
}

// Delivery implements deliveries.
func (w *world) Delivery(_ context.Context, account string, id uuid.UUID) (domain.Delivery, []domain.Attempt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.deliveries[id]
	if w.readErr != nil || d == nil || d.Account != account {
		return domain.Delivery{}, nil, cmp.Or(w.readErr, notFound("delivery", id.String()))
	}
	return *d, w.attempts[id], nil
}

// LastRefusal implements deliveries.
func (w *world) LastRefusal(_ context.Context, channel string) (time.Time, int, bool, error) {
	return w.refusal(channel)
}

// EndpointHealth implements deliveries.
func (w *world) EndpointHealth(_ context.Context, account string, targets []string) ([]domain.EndpointHealth, error) {
	var list []domain.EndpointHealth
	for _, h := range w.health {
		if h.Account == account && (targets == nil || slices.Contains(targets, h.Target)) {
			list = append(list, h)
		}
	}
	return list, nil
}

// Fresh implements freshness.
func (w *world) Fresh(ctx context.Context, _ string) error { return w.freshErr(ctx) }

// Reached implements freshness.
func (w *world) Reached(ctx context.Context, _ string, p domain.Position) error {
	w.mu.Lock()
	w.waited = append(w.waited, p)
	w.mu.Unlock()
	if p.Offset <= w.reached.Offset {
		return nil
	}
	<-ctx.Done()
	return fmt.Errorf("wait: %w", ctx.Err())
}

// End implements freshness: the log has two partitions.
func (w *world) End(ctx context.Context, partition int) (int64, bool, error) {
	if w.ends == nil {
		return 1 << 40, partition < 2, nil
	}
	return w.ends(ctx, partition)
}

// Export implements history.
func (w *world) Export(_ context.Context, f domain.EventFilter, emit func([]byte) error) error {
	if w.exporting != nil {
		w.exporting()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Account != f.Account || f.FromPosition != nil && e.Position.Offset < f.FromPosition.Offset || e.Time.Before(f.From) {
			continue
		}
		if err := emit(fmt.Appendf(nil, `{"id":%q,"type":%q}`, e.ID, e.Type())); err != nil {
			return err
		}
	}
	return w.exportErr
}

// Probe implements prober.
func (w *world) Probe(_ context.Context, ch domain.Channel) (domain.Outcome, error) {
	return w.probe(ch)
}

// Preview implements previewer.
func (w *world) Preview(d domain.Delivery) (call domain.Call, cut bool, missing string) {
	ch, ok := w.Channel(d.Channel)
	if !ok {
		return domain.Call{}, false, "the channel was deleted"
	}
	return domain.Call{
		Method: "POST", URL: ch.CallbackURL, Body: []byte(d.Content.Text),
		Headers: []domain.Header{{Name: "Authorization", Value: "…"}, {Name: "Content-Type", Value: "application/json"}},
	}, true, ""
}

// Begin implements idempotency.
func (w *world) Begin(_ context.Context, account, key string, fingerprint []byte) (Claim, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readErr != nil {
		return Claim{}, w.readErr
	}
	c := w.claims[account+"\x00"+key]
	switch {
	case c == nil:
		token := uuid.NewString()
		w.claims[account+"\x00"+key] = &claim{fingerprint: fingerprint, token: token}
		return Claim{State: ClaimTaken, Token: token}, nil
	case !bytes.Equal(c.fingerprint, fingerprint):
		return Claim{State: ClaimOther}, nil
	case c.answer == nil:
		return Claim{State: ClaimBusy}, nil
	default:
		return Claim{State: ClaimAnswered, Answer: c.answer}, nil
	}
}

// Finish implements idempotency.
func (w *world) Finish(_ context.Context, account, key, token string, answer []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.claims[account+"\x00"+key]; c != nil && c.token == token {
		c.answer = answer
	}
	return nil
}

// Abandon implements idempotency.
func (w *world) Abandon(_ context.Context, account, key, token string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.claims[account+"\x00"+key]; c != nil && c.token == token {
		delete(w.claims, account+"\x00"+key)
	}
	return nil
}

// testSealer hides a text well enough for a test to see whether it was hidden.
type testSealer struct{}

// Seal implements sealer.
func (testSealer) Seal(owner string, plain []byte) (string, error) {
	return owner + "|" + base64.StdEncoding.EncodeToString(plain), nil
}

// Open implements sealer.
func (testSealer) Open(owner, sealed string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, owner+"|")
	if !ok {
		return nil, errors.New("sealed for somebody else")
	}
	return base64.StdEncoding.DecodeString(text)
}

// Keep implements files.
func (w *world) Keep(_ context.Context, name string, content io.Reader) (string, int64, error) {
	raw, err := io.ReadAll(content)
	if strings.Contains(name, "/") {
		return "", 0, domain.Errorf(domain.CodeInvalid, "no slashes")
	}
	return "https://parley.example.com/files/1/" + name, int64(len(raw)), err
}
