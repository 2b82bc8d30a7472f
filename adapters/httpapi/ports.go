package httpapi

import (
	"context"
	"io"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// tokens knows who a bearer token belongs to. It must not need a database.
type tokens interface {
	Token(secret string) (domain.Token, bool)
}

// tokenAdmin changes the platform tokens of an account. CreateToken stamps the
// time; DeleteToken gives CodeNotFound when the account has none of that id.
type tokenAdmin interface {
	Tokens(account string) []domain.Token
	CreateToken(ctx context.Context, t domain.Token) (domain.Token, error)
	DeleteToken(ctx context.Context, account, id string) error
}

// registry keeps the channels. A change is in effect on this node when the call
// returns. CreateChannel gives CodeConflict when the id is taken; change runs
// with nobody else changing the channel on this node, and an error of it is
// passed through.
type registry interface {
	Channel(id string) (domain.Channel, bool)
	Channels(account string) []domain.Channel
	CreateChannel(ctx context.Context, ch domain.Channel) (domain.Channel, error)
	ChangeChannel(ctx context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error)
	DeleteChannel(ctx context.Context, id string) error
}

// log keeps events: when Append returns without an error they are acknowledged.
// CodeUnavailable or CodeRateLimited when it does not take them now.
type log interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// reads are the read models of conversations. Lists come with the cursor of the
// part that follows, "" at the end; a cursor that cannot be read is CodeInvalid.
// One thing that is not there, or not in the account, is CodeNotFound.
type reads interface {
	contacts
	conversations
	messages
}

type contacts interface {
	Contacts(ctx context.Context, f domain.ContactFilter, p domain.Page) ([]domain.Contact, string, error)
	Contact(ctx context.Context, account string, id uuid.UUID) (domain.Contact, error)
}

type conversations interface {
	Conversations(ctx context.Context, f domain.ConversationFilter, p domain.Page) ([]domain.Conversation, string, error)
	Conversation(ctx context.Context, account string, id uuid.UUID) (domain.Conversation, error)
}

type messages interface {
	Messages(ctx context.Context, account string, conversation uuid.UUID, p domain.Page) ([]domain.Message, string, error)
	Message(ctx context.Context, account string, id uuid.UUID) (domain.Message, error)
}

// deliveries are the read models of deliveries; the rules are those of reads.
type deliveries interface {
	Deliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error)
	Delivery(ctx context.Context, account string, id uuid.UUID) (domain.Delivery, []domain.Attempt, error)
}

// freshness tells how far a projection is. Fresh waits until it has what the log
// holds as of the call, Reached until it has passed a position. Both give up
// when the context ends.
type freshness interface {
	Fresh(ctx context.Context, projection string) error
	Reached(ctx context.Context, projection string, p domain.Position) error
}

// history walks through the log and gives each event as one line of JSON. An
// error of emit ends the walk and is passed through.
type history interface {
	Export(ctx context.Context, f domain.EventFilter, emit func(line []byte) error) error
}

// prober calls a channel's callback once, to see what it answers. An error means
// that no call was made.
type prober interface {
	Probe(ctx context.Context, ch domain.Channel) (domain.Outcome, error)
}

// idempotency keeps the first answer to a request under the key that its sender
// gave it. Begin claims a key for one request, told by its fingerprint. Finish
// and Abandon end the claim that Begin gave under token; they do nothing when it
// has been taken over since. A claim whose holder died ends by itself.
type idempotency interface {
	Begin(ctx context.Context, account, key string, fingerprint []byte) (Claim, error)
	Finish(ctx context.Context, account, key, token string, answer []byte) error
	Abandon(ctx context.Context, account, key, token string) error
}

// ClaimState is what a claim of an idempotency key came to.
type ClaimState int

// The states of a claim.
const (
	ClaimTaken    ClaimState = iota + 1 // the key is ours now: act, then Finish or Abandon
	ClaimAnswered                       // there is an answer: give it again
	ClaimBusy                           // somebody is at it
	ClaimOther                          // the key was used for another request
)

// Claim is the answer to a claim.
type Claim struct {
	State  ClaimState
	Token  string // names a taken claim
	Answer []byte // of ClaimAnswered
}

// sealer encrypts what is stored of answers, since they may hold secrets. owner
// names whose it is; Open of another owner's fails.
type sealer interface {
	Seal(owner string, plain []byte) (string, error)
	Open(owner, sealed string) ([]byte, error)
}

// files keeps what is sent to contacts, and serves it elsewhere. Keep gives the
// URL of a file that is on disk, and its size in bytes; a name or a content that
// cannot be taken is CodeInvalid.
type files interface {
	Keep(ctx context.Context, name string, content io.Reader) (url string, size int64, err error)
}
