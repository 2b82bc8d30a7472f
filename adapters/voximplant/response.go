package voximplant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// projectionConversations holds the conversations; freshWait bounds how long a
// later answer waits until it is up to date.
const (
	projectionConversations = "conversations"
	freshWait               = 5 * time.Second
)

// respond answers POST /api/v3/botService/sendResponse (section 7): a function
// says more than it did when it was asked. Whoever knows the UUID may: it was told
// only to the function.
func (d *Door) respond(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		d.onlyPost(w, atResponse)
		return
	}
	ch, positions, err := d.answerLater(r)
	if err != nil {
		d.refuse(w, r, atResponse, err, "channel", ch.ID)
		return
	}
	accepted(w, positions)
	d.metrics.answered(atResponse, http.StatusOK)
	d.logger.DebugContext(r.Context(), "kit.responded", "channel", ch.ID, "position", where(positions))
}

// answerLater appends what a later answer asks for.
func (d *Door) answerLater(r *http.Request) (domain.Channel, []domain.Position, error) {
	conversation, ch, err := d.conversationOf(r)
	if err != nil {
		return domain.Channel{}, nil, err
	}
	body, err := readAll(r, new(bytes.Buffer), maxBody)
	if err != nil {
		return ch, nil, err
	}
	said, err := parseReply(body)
	if err != nil {
		return ch, nil, err
	}
	state := conversation.State
	if state.Handler != domain.HandlerBot {
		// An operator or a queue has it: a function may still say something, but the
		// conversation is not its own to give away or to end.
		said.finish, said.transfers = false, nil
	}
	// The body names no message, so its words do, together with what they answer: a
	// call that is repeated says nothing twice.
	hash := sha256.Sum256(body)
	events := ch.Answer(domain.Answering{
		ContactRef: conversation.ContactRef, Conversation: conversation.ID, Handling: state.Handling, Inbound: state.Inbound,
		ID: domain.DeriveID("function-response", conversation.ID.String(), state.Inbound.String(), hex.EncodeToString(hash[:])),
	}, d.commands.of(ch, said), d.now())
	if len(events) == 0 {
		return ch, nil, nil
	}
	positions, err := d.log.Append(r.Context(), events...)
	return ch, positions, err
}

// conversationOf finds the open conversation that a request names by the UUID that
// a function was told, and its channel. CodeNotFound when there is none, or when
// it is done.
func (d *Door) conversationOf(r *http.Request) (domain.Conversation, domain.Channel, error) {
	text := r.URL.Query().Get("conversation_uuid")
	if text == "" {
		return domain.Conversation{}, domain.Channel{}, domain.Invalid("conversation_uuid", "is required")
	}
	missing := domain.Errorf(domain.CodeNotFound, "there is no such conversation, or it is done")
	id, ok := canonical(text)
	if !ok {
		return domain.Conversation{}, domain.Channel{}, missing
	}
	told, err := uuid.Parse(id)
	if err != nil {
		return domain.Conversation{}, domain.Channel{}, missing
	}
	candidates, err := d.veil.reveal(told)
	if err != nil {
		return domain.Conversation{}, domain.Channel{}, err
	}
	if len(candidates) == 0 {
		return domain.Conversation{}, domain.Channel{}, missing
	}
	ctx, cancel := context.WithTimeout(r.Context(), freshWait)
	defer cancel()
	if err := d.freshness.Fresh(ctx, projectionConversations); err != nil {
		return domain.Conversation{}, domain.Channel{}, &domain.Error{
			Code: domain.CodeUnavailable, Message: "the read models are behind the log; repeat the request", Err: err,
		}
	}
	for _, candidate := range candidates {
		c, err := d.conversations.ConversationByID(ctx, candidate)
		if domain.CodeOf(err) == domain.CodeNotFound {
			continue // of another key
		}
		if err != nil {
			return domain.Conversation{}, domain.Channel{}, err
		}
		ch, ok := d.channelOf(c.Account, c.Channel)
		if !ok || c.State == nil || !c.State.Open {
			return domain.Conversation{}, domain.Channel{}, missing
		}
		if ch.Disabled {
			return domain.Conversation{}, ch, errDisabled()
		}
		return c, ch, nil
	}
	return domain.Conversation{}, domain.Channel{}, missing
}
