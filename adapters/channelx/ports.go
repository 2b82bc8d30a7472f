package channelx

import (
	"context"
	"io"
	"time"

	"github.com/parley-im/parley/domain"
)

// directory is what has been set up, in memory, as it is now.
type directory interface {
	accounts
	workforce
}

// accounts are the accounts, and the tokens that let programs into them.
type accounts interface {
	// Token finds a platform token by its secret. That of a disabled account is good
	// for nothing: it comes with false.
	Token(secret string) (domain.Token, bool)
	// Tokens lists all tokens of an account, also those that exist by configuration:
	// whoever may act can be given a conversation.
	Tokens(account string) []domain.Token
	Account(name string) (domain.Account, bool)
	// AccountByNumber finds an account by domain.Account.WireNumber.
	AccountByNumber(number int64) (domain.Account, bool)
}

// workforce is who answers in an account, and with what: teams are its queues,
// labels its tags.
type workforce interface {
	Agent(account string, number int64) (domain.Agent, bool)
	Agents(account string) []domain.Agent
	Queue(account string, number int64) (domain.Queue, bool)
	Queues(account string) []domain.Queue
	Tags(account string) []domain.Tag
}

// inboxes are the channels of the dialect, in memory.
type inboxes interface {
	Channel(id string) (domain.Channel, bool)
	Channels(account string) []domain.Channel
	// ChannelByInbox finds a channel of an account by its inbox number.
	ChannelByInbox(account string, number int64) (domain.Channel, bool)
	// ChannelByIdentifier finds one by the token that names it in the client API; not
	// one that is disabled.
	ChannelByIdentifier(identifier string) (domain.Channel, bool)
}

// inboxAdmin changes channels; a change is in this node's memory when it returns.
type inboxAdmin interface {
	CreateChannel(ctx context.Context, ch domain.Channel) (domain.Channel, error)
	ChangeChannel(ctx context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error)
	DeleteChannel(ctx context.Context, id string) error
	// LastInbox is the highest number that any inbox has, 0 when there is none.
	LastInbox() int64
}

// endpoints are what was decided about where callbacks go: nothing is sent to one
// that is paused.
type endpoints interface {
	Endpoint(target string) (domain.Endpoint, bool)
	// ChangeEndpoint decides about one; nobody else on this node does meanwhile.
	ChangeEndpoint(ctx context.Context, account, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error)
}

// webhooks are the webhooks of accounts, in memory, and their changes.
type webhooks interface {
	Webhooks(account string) []domain.Webhook
	CreateWebhook(ctx context.Context, w domain.Webhook) (domain.Webhook, error)
	ChangeWebhook(ctx context.Context, account string, number int64, change func(*domain.Webhook) error) (domain.Webhook, error)
	DeleteWebhook(ctx context.Context, account string, number int64) error
}

// people reads persons and identities. CodeNotFound where there is none.
type people interface {
	persons
	identities
}

// persons reads those who write to an account, on whatever inbox.
type persons interface {
	Person(ctx context.Context, account string, id int64) (domain.PersonSeen, error)
	// PersonBy finds the one whom the first field of the key that is set names.
	PersonBy(ctx context.Context, account string, key domain.PersonKey) (domain.PersonSeen, error)
	// Persons lists a part, and tells how many there are in all.
	Persons(ctx context.Context, q domain.PersonQuery) ([]domain.PersonSeen, int64, error)
}

// identities reads how inboxes know persons.
type identities interface {
	Identity(ctx context.Context, channel, sourceID string) (domain.Identity, error)
	// IdentitiesBySource finds one of an account by source id alone, oldest first.
	IdentitiesBySource(ctx context.Context, account, sourceID string) ([]domain.Identity, error)
	// IdentityByToken finds the one that a token listens to, by the token's SHA-256 in
	// hex, with its person and account.
	IdentityByToken(ctx context.Context, hash string) (domain.Identity, domain.Person, string, error)
	IdentityByID(ctx context.Context, id int64) (domain.Identity, error)
}

// tickets reads tickets. CodeNotFound where there is none.
type tickets interface {
	Ticket(ctx context.Context, account string, number int64) (domain.TicketSeen, error)
	Tickets(ctx context.Context, q domain.TicketQuery) ([]domain.TicketSeen, error)
	// TicketCounts counts those of the query by assignee, whatever the query says of
	// assignees; me is an operator.
	TicketCounts(ctx context.Context, q domain.TicketQuery, me int64) (domain.TicketCounts, error)
	// LatestTicket finds the newest ticket of an identity.
	LatestTicket(ctx context.Context, identity int64) (domain.TicketSeen, error)
}

// posts reads posts. CodeNotFound where there is none.
type posts interface {
	postsByName

	Posts(ctx context.Context, q domain.PostQuery) ([]domain.Post, error)
	Post(ctx context.Context, account string, number, id int64) (domain.Post, error)
	// UnreadPosts lists what the contact has not read: public, not incoming, sent or
	// delivered, created at or before a time; oldest first, at most limit.
	UnreadPosts(ctx context.Context, account string, number int64, until time.Time, limit int) ([]domain.Post, error)
	// PostsSince counts the posts of a ticket since a time, up to most.
	PostsSince(ctx context.Context, account string, number int64, since time.Time, most int) (int, error)
}

// postsByName finds posts by what integrations call them. CodeNotFound where there
// is none.
type postsByName interface {
	// PostBySource finds the newest post of a ticket that has a source id.
	PostBySource(ctx context.Context, account string, number int64, sourceID string) (domain.Post, error)
	// PostByKey finds the post of a ticket that came with an idempotency key.
	PostByKey(ctx context.Context, account string, number int64, key string) (domain.Post, error)
}

// numbers gives out ids. They are unique whatever becomes of the database.
type numbers interface {
	// Ticket gives the next number of an account's tickets.
	Ticket(ctx context.Context, account string) (int64, error)
	// ID gives the next id of a kind (person, identity, post, file, inbox), above a
	// number that the caller knows to be taken.
	ID(ctx context.Context, kind string, above int64) (int64, error)
	// Webhook gives the next number of an account's webhooks.
	Webhook(ctx context.Context, account string, above int64) (int64, error)
}

// locks keeps others, on any node, from deciding about the same things. Hold waits
// until it has all names; release never fails. A lock is lost when its node or its
// connection dies: whatever the holder has appended by then is found by fresh.
type locks interface {
	Hold(ctx context.Context, names ...string) (release func(), err error)
}

// log takes events; they are durable when Append returns nil, all of them or none
// where they are of one partition, as those of an account are.
type log interface {
	Append(ctx context.Context, events ...domain.Event) ([]domain.Position, error)
}

// freshness tells how far the rows are.
type freshness interface {
	// Fresh waits until a projection has all that the log held when it was called.
	Fresh(ctx context.Context, projection string) error
	// FreshFor waits until the rows have all that the partition of a key (see
	// domain.Event.PartitionKey) held when it was called.
	FreshFor(ctx context.Context, key string) error
	// Reached waits until the rows have what stands at a position.
	Reached(ctx context.Context, projection string, p domain.Position) error
}

// presence knows who is there, on any node; it may forget on a crash.
type presence interface {
	// Seen tells that some are there at a time.
	Seen(ctx context.Context, account string, kind domain.PresenceKind, ids ...int64) error
	// Present lists who was seen since a time, with availability where it was set.
	Present(ctx context.Context, account string, kind domain.PresenceKind, since time.Time) ([]int64, error)
}

// keeper keeps files and gives the URL under which anybody who knows it can fetch
// one, from the moment that Keep returns.
type keeper interface {
	Keep(ctx context.Context, name, contentType string, content io.Reader) (url string, size int64, err error)
}

// minter derives the tokens that sockets listen with: 24 letters and digits that
// follow from an owner and the installation's secret key.
type minter interface {
	SocketToken(owner string) string
}
