package httpapi

import (
	"context"
	"io"
	"time"

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
	channels
	inboxes
}

type channels interface {
	Channel(id string) (domain.Channel, bool)
	Channels(account string) []domain.Channel
	CreateChannel(ctx context.Context, ch domain.Channel) (domain.Channel, error)
	ChangeChannel(ctx context.Context, id string, change func(*domain.Channel) error) (domain.Channel, error)
	DeleteChannel(ctx context.Context, id string) error
}

// inboxes are the channels of dialects that number them. LastInbox is the highest
// number that any has, 0 when there is none.
type inboxes interface {
	LastInbox() int64
}

// tickets decides about conversations of dialects that have tickets, by their own
// rules: what returns is done, and in the rows. by is the token that asks, acting
// as the agent that it names. content has been validated. Errors are those of
// reads; a field that they name is one of content.
type tickets interface {
	// Reply says something in a conversation, and Start in the newest one of a contact
	// that is not resolved, or in a new one. The same key in the same conversation is
	// the same message; "" is none.
	Reply(ctx context.Context, by domain.Token, conversation uuid.UUID, content domain.Content, key string) (message uuid.UUID, err error)
	Start(ctx context.Context, by domain.Token, ch domain.Channel, ref string, content domain.Content, key string) (message uuid.UUID, err error)
	// Close resolves a conversation; CodeConflict when it is resolved.
	Close(ctx context.Context, by domain.Token, conversation uuid.UUID) error
	// Assign gives a conversation to an agent or a team; 0 is nobody, nil leaves it.
	Assign(ctx context.Context, by domain.Token, conversation uuid.UUID, agent, team *int64) error
	// Label adds labels to a conversation, or replaces all that it has.
	Label(ctx context.Context, by domain.Token, conversation uuid.UUID, labels []string, replace bool) error
}

// manyTickets decides about many conversations of an account. Both pass over those
// that are gone and count those of which something was to be done; after an error some
// may be done.
type manyTickets interface {
	// CloseAll resolves those that are not resolved.
	CloseAll(ctx context.Context, by domain.Token, conversations []uuid.UUID) (int, error)
	// LeaveAll takes them away from the agents who have them.
	LeaveAll(ctx context.Context, by domain.Token, conversations []uuid.UUID) (int, error)
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

// directory keeps what an account has besides channels and tokens, and the keys
// of the installation. The rules are those of registry. Numbers are given by the
// caller and are of the account. Lists are sorted by number, those of accounts
// and tokens by age; a change of what is not there is CodeNotFound.
type directory interface {
	access
	desks
	staff
}

// access is who gets in.
type access interface {
	accounts
	apiTokens
	subscriptions
	signKeys
	targets
}

// targets are what deliveries go to, besides channels and subscriptions.
type targets interface {
	endpoints
	webhooks
}

// webhooks are endpoints of accounts that the dialect itself sets up.
type webhooks interface {
	Webhooks(account string) []domain.Webhook
}

// endpoints are what was decided about the targets of deliveries. ChangeEndpoint
// gives one of which nothing was decided to change as healthy.
type endpoints interface {
	Endpoint(target string) (domain.Endpoint, bool)
	Endpoints(account string) []domain.Endpoint
	ChangeEndpoint(ctx context.Context, account, target string, change func(*domain.Endpoint) error) (domain.Endpoint, error)
}

// desks are what conversations are looked after with.
type desks interface {
	queues
	functions
	tags
	topicSets
}

// staff is who looks after them.
type staff interface {
	skills
	agents
}

// accounts are the tenants; domain.DefaultAccount is always among them.
type accounts interface {
	Account(name string) (domain.Account, bool)
	Accounts() []domain.Account
	CreateAccount(ctx context.Context, a domain.Account) (domain.Account, error)
	ChangeAccount(ctx context.Context, name string, change func(*domain.Account) error) (domain.Account, error)
}

// apiTokens are the secrets with which integrations log in. APITokenByValue
// finds only those that are not revoked; CreateAPIToken gives CodeConflict when
// the account has one of that value; revoking twice is revoking once.
type apiTokens interface {
	APIToken(account, id string) (domain.APIToken, bool)
	APITokens(account string) []domain.APIToken
	APITokenByValue(account, value string) (domain.APIToken, bool)
	CreateAPIToken(ctx context.Context, t domain.APIToken) (domain.APIToken, error)
	RevokeAPIToken(ctx context.Context, account, id string) (domain.APIToken, error)
}

// subscriptions are who is told of events. Subscription finds deleted ones, too;
// the others take those for not there.
type subscriptions interface {
	Subscription(account, id string) (domain.Subscription, bool)
	Subscriptions(account string) []domain.Subscription
	CreateSubscription(ctx context.Context, s domain.Subscription) (domain.Subscription, error)
	ChangeSubscription(ctx context.Context, account, id string, change func(*domain.Subscription) error) (domain.Subscription, error)
	DeleteSubscription(ctx context.Context, account, id string) error
}

type queues interface {
	Queue(account string, number int64) (domain.Queue, bool)
	Queues(account string) []domain.Queue
	CreateQueue(ctx context.Context, q domain.Queue) (domain.Queue, error)
	ChangeQueue(ctx context.Context, account string, number int64, change func(*domain.Queue) error) (domain.Queue, error)
	DeleteQueue(ctx context.Context, account string, number int64) error
}

type functions interface {
	Function(account string, number int64) (domain.Function, bool)
	Functions(account string) []domain.Function
	CreateFunction(ctx context.Context, f domain.Function) (domain.Function, error)
	ChangeFunction(ctx context.Context, account string, number int64, change func(*domain.Function) error) (domain.Function, error)
	DeleteFunction(ctx context.Context, account string, number int64) error
}

type tags interface {
	Tag(account string, number int64) (domain.Tag, bool)
	Tags(account string) []domain.Tag
	CreateTag(ctx context.Context, t domain.Tag) (domain.Tag, error)
	ChangeTag(ctx context.Context, account string, number int64, change func(*domain.Tag) error) (domain.Tag, error)
	DeleteTag(ctx context.Context, account string, number int64) error
}

type topicSets interface {
	TopicSet(account string, number int64) (domain.TopicSet, bool)
	TopicSets(account string) []domain.TopicSet
	CreateTopicSet(ctx context.Context, s domain.TopicSet) (domain.TopicSet, error)
	ChangeTopicSet(ctx context.Context, account string, number int64, change func(*domain.TopicSet) error) (domain.TopicSet, error)
	DeleteTopicSet(ctx context.Context, account string, number int64) error
}

type skills interface {
	Skill(account string, number int64) (domain.Skill, bool)
	Skills(account string) []domain.Skill
	CreateSkill(ctx context.Context, s domain.Skill) (domain.Skill, error)
	ChangeSkill(ctx context.Context, account string, number int64, change func(*domain.Skill) error) (domain.Skill, error)
	DeleteSkill(ctx context.Context, account string, number int64) error
}

type agents interface {
	Agent(account string, number int64) (domain.Agent, bool)
	Agents(account string) []domain.Agent
	CreateAgent(ctx context.Context, a domain.Agent) (domain.Agent, error)
	ChangeAgent(ctx context.Context, account string, number int64, change func(*domain.Agent) error) (domain.Agent, error)
	DeleteAgent(ctx context.Context, account string, number int64) error
}

// signKeys are the installation's; a list is newest first.
type signKeys interface {
	SignKeys(p domain.KeyPurpose) []domain.SignKey
	CreateSignKey(ctx context.Context, k domain.SignKey) (domain.SignKey, error)
	DeleteSignKey(ctx context.Context, id string) error
}

// numbers gives the next number of a kind of things of an account, greater than
// above and than all that it has given, and never again; ID gives one of the whole
// installation.
type numbers interface {
	Next(ctx context.Context, account, kind string, above int64) (int64, error)
	ID(ctx context.Context, kind string, above int64) (int64, error)
}

// deliveries are the read models of deliveries; the rules are those of reads.
// LastRefusal tells whether the newest settled callback of a channel was refused
// with 401 or 403, when and with which. EndpointHealth is of all targets of the
// account when none is named.
type deliveries interface {
	Deliveries(ctx context.Context, f domain.DeliveryFilter, p domain.Page) ([]domain.Delivery, string, error)
	Delivery(ctx context.Context, account string, id uuid.UUID) (domain.Delivery, []domain.Attempt, error)
	LastRefusal(ctx context.Context, channel string) (at time.Time, status int, ok bool, err error)
	EndpointHealth(ctx context.Context, account string, targets []string) ([]domain.EndpointHealth, error)
}

// freshness tells how far a projection is. Fresh waits until it has what the log
// holds as of the call, Reached until it has passed a position. Both give up
// when the context ends. End is the offset after the last event of a partition of
// the log, as of the call; false when there is no such partition.
type freshness interface {
	Fresh(ctx context.Context, projection string) error
	Reached(ctx context.Context, projection string, p domain.Position) error
	End(ctx context.Context, partition int) (end int64, ok bool, err error)
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

// previewer makes up the call of a delivery without making it, and takes out what is
// secret. cut tells that the body is longer than what is given; missing, unless it
// is empty, why nothing would be sent.
type previewer interface {
	Preview(d domain.Delivery) (call domain.Call, cut bool, missing string)
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
