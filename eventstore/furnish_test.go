package eventstore_test

import (
	"context"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// kitChannel is one that picks an API token and has its conversations looked after.
func kitChannel(id, account, token string) domain.Channel {
	return domain.Channel{
		ID: id, Account: account, Dialect: domain.DialectVoximplant, Name: "Widget", CallbackURL: "https://example.com/kit",
		Credentials: domain.Credentials{Salt: "salt of " + id}, APITokenID: token,
		Desk: domain.Desk{Queue: 4, CloseAfter: domain.DefaultCloseSeconds, BotClose: domain.DefaultCloseSeconds},
	}
}

func aQueue(account string, number int64) domain.Queue {
	return domain.Queue{Number: number, Account: account, Name: "Sales", MaxWait: 600, Priority: 3}
}

func anAPIToken(account, id, value string) domain.APIToken {
	return domain.APIToken{ID: id, Account: account, Name: "site", Value: value}
}

// ticking gives a clock of which every look is a second later.
func ticking() func() time.Time {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

// must makes a thing known.
func must[V any](t testing.TB, create func(context.Context, V) (V, error), v V) V {
	t.Helper()
	created, err := create(t.Context(), v)
	if err != nil {
		t.Fatalf("create %T: %v", v, err)
	}
	return created
}

// furnish makes something of every kind known. Together the things of a kind have
// every field filled.
func furnish(t testing.TB, f *follower) {
	t.Helper()
	must(t, f.CreateAccount, domain.Account{Name: "acme", Title: "Acme Ltd"})
	must(t, f.CreateAccount, domain.Account{Name: "umbra", Disabled: true})
	must(t, f.CreateToken, domain.Token{ID: "desk", Account: "acme", Name: "desk", Role: domain.RoleAgent, Hash: domain.HashSecret("secret-of-desk")})
	must(t, f.CreateAPIToken, anAPIToken("acme", "site", "value-of-site"))
	must(t, f.CreateAPIToken, anAPIToken("acme", "old", "value-of-old"))
	if _, err := f.RevokeAPIToken(t.Context(), "acme", "old"); err != nil {
		t.Fatal(err)
	}
	must(t, f.CreateQueue, aQueue("acme", 4))
	must(t, f.CreateFunction, domain.Function{
		Number: 12, Account: "acme", Name: "answerer", URL: "https://example.com/function", TokenID: "desk", AccessToken: "secret-of-desk",
	})
	must(t, f.CreateTag, domain.Tag{Number: 5, Account: "acme", Name: "urgent"})
	must(t, f.CreateTopicSet, domain.TopicSet{
		Number: 2, Account: "acme", Name: "Bags", Topics: []domain.Topic{{Number: 1, Name: "Price"}, {Number: 2, Name: "Colour"}},
	})
	must(t, f.CreateSkill, domain.Skill{Number: 3, Account: "acme", Name: "Portuguese"})
	must(t, f.CreateAgent, domain.Agent{
		Number: 7, Account: "acme", Username: "grace", DisplayName: "Grace", Email: "grace@example.com",
		Avatar: "https://example.com/grace.png", Ready: true, MostOpen: 5, Queues: []int64{4}, Skills: []domain.SkillLevel{{Skill: 3, Level: 5}},
	})
	must(t, f.CreateSignKey, domain.SignKey{ID: "k1", Purpose: domain.KeyLogin, Secret: []byte("secret-of-key-1-is-32-bytes-long")})

	old := aChannel("204815162342", "token-of-old")
	old.Delivery.OnExhausted = domain.OnExhaustedPark
	must(t, f.CreateChannel, old)
	queue := kitChannel("3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33", "acme", "site")
	queue.Desk.UseTags, queue.Desk.TopicSet, queue.Desk.Skills = true, 2, []domain.SkillLevel{{Skill: 3, Level: 5}}
	queue.Disabled, queue.SkipTLSVerify = true, true
	must(t, f.CreateChannel, queue)
	function := kitChannel("aa11bb22-cc33-4d44-8e55-ff6677889900", "acme", "old")
	function.Desk.Queue, function.Desk.Function, function.Desk.FallbackQueue = 0, 12, 4
	must(t, f.CreateChannel, function)
	subscribe(t, f)
	if _, err := f.ChangeEndpoint(t.Context(), "acme", "204815162342", func(e *domain.Endpoint) error {
		at := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
		e.State, e.Reason, e.Stage, e.By = domain.EndpointPaused, domain.EndpointFailing, 3, "desk"
		e.FailingSince, e.SettledAt, e.ChangedAt = at.Add(-72*time.Hour), at.Add(-96*time.Hour), at
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	furnishInbox(t, f)
}

// furnishInbox makes an inbox known, a webhook that is told of it, and somebody who
// answers there.
func furnishInbox(t testing.TB, f *follower) {
	t.Helper()
	must(t, f.CreateChannel, anInbox("731905284416", "acme", 3))
	must(t, f.CreateWebhook, domain.Webhook{
		Number: 2, Account: "acme", Name: "CRM", URL: "https://crm.example.com/cx", Channel: "731905284416",
		Events: []string{domain.NoticeMessageCreated, domain.NoticeContactUpdated}, Secret: "secret-of-hook-2",
	})
	if err := f.KeepSocketKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(t, f.CreateAccount, domain.Account{Name: "zenith", Number: 17})
	must(t, f.CreateToken, domain.Token{
		ID: "grace", Account: "zenith", Name: "Grace", Role: domain.RoleAgent, Hash: domain.HashSecret("secret-of-grace"), Agent: 7,
	})
}

// anInbox is a channel of which nothing is left at its default.
func anInbox(id, account string, number int64) domain.Channel {
	return domain.Channel{
		ID: id, Account: account, Dialect: domain.DialectChannelX, Name: "Bridge " + id, CallbackURL: "https://bridge.example.com/cx",
		Credentials: domain.Credentials{HMACToken: "token-of-" + id, Secret: "secret-of-" + id},
		Inbox: domain.Inbox{
			Number: number, Identifier: "names-" + id, HMACMandatory: true, Additional: domain.Object{"agent_reply_time_window": 24.0},
			LockToSingle: true, Greeting: true, GreetingMessage: "Hello", NoAutoAssignment: true, NoneAfterResolved: true, WorkingHours: true,
			Hours: []domain.Hours{
				{Day: 1, OpenHour: 9, OpenMinute: 30, CloseHour: 17, CloseMinute: 45}, {Day: 2, OpenAll: true}, {Day: 6, ClosedAll: true},
			},
			OutOfOffice: "Tomorrow", Timezone: "Europe/Lisbon", CSAT: true, CSATConfig: domain.Object{"display_type": "emoji"},
			NoEmailCollect: true, SenderNameType: "professional", BusinessName: "Acme", Avatar: "https://example.com/bridge.png", Members: []int64{7, 9},
		},
	}
}

// secretOf is a signing secret. It is no text that could stand in a record by chance.
func secretOf(name string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte("secret-of-"+name+"-of-32-bytes-"))
}

func aSubscription(account, id string, now time.Time) domain.Subscription {
	s := domain.Subscription{
		ID: id, Account: account, Name: "Desk", URL: "https://desk.example.com/parley", Secret: secretOf(id),
		Delivery: domain.DeliveryPolicy{Schedule: []time.Duration{time.Second}, MaxAge: time.Hour, OnExhausted: domain.OnExhaustedPark},
	}
	s.Revisions = []domain.Revision{{Since: now, Events: []string{"message.received", "conversation.*"}, Channel: "204815162342", Off: true}}
	return s
}

// subscribe makes a subscription that was changed, and one that is gone.
func subscribe(t testing.TB, f *follower) {
	t.Helper()
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	must(t, f.CreateSubscription, aSubscription("acme", "desk-1", now))
	if _, err := f.ChangeSubscription(t.Context(), "acme", "desk-1", func(s *domain.Subscription) error {
		s.Rotate(secretOf("desk-2"), now)
		return s.Revise(domain.Revision{}, now.Add(time.Hour))
	}); err != nil {
		t.Fatal(err)
	}
	must(t, f.CreateSubscription, aSubscription("acme", "gone-1", now))
	if err := f.DeleteSubscription(t.Context(), "acme", "gone-1"); err != nil {
		t.Fatal(err)
	}
}

// furniture is all that a registry knows.
type furniture struct {
	Accounts  []domain.Account
	Tokens    []domain.Token
	APITokens []domain.APIToken
	Queues    []domain.Queue
	Functions []domain.Function
	Tags      []domain.Tag
	TopicSets []domain.TopicSet
	Skills    []domain.Skill
	Agents    []domain.Agent
	SignKeys  []domain.SignKey
	Channels  []domain.Channel
	Endpoints []domain.Endpoint
	Webhooks  []domain.Webhook

	Subscriptions []domain.Subscription
}

func (f *follower) furniture() furniture {
	all := furniture{Accounts: f.Accounts(), Channels: f.Channels(""), Endpoints: f.Endpoints("")}
	for _, a := range all.Accounts {
		all.Tokens = append(all.Tokens, f.Tokens(a.Name)...)
		all.APITokens = append(all.APITokens, f.APITokens(a.Name)...)
		all.Queues = append(all.Queues, f.Queues(a.Name)...)
		all.Functions = append(all.Functions, f.Functions(a.Name)...)
		all.Tags = append(all.Tags, f.Tags(a.Name)...)
		all.TopicSets = append(all.TopicSets, f.TopicSets(a.Name)...)
		all.Skills = append(all.Skills, f.Skills(a.Name)...)
		all.Agents = append(all.Agents, f.Agents(a.Name)...)
		all.Webhooks = append(all.Webhooks, f.Webhooks(a.Name)...)
		all.Subscriptions = append(all.Subscriptions, f.Subscriptions(a.Name)...)
		if gone, ok := f.Subscription(a.Name, "gone-1"); ok {
			all.Subscriptions = append(all.Subscriptions, gone)
		}
	}
	all.SignKeys = slices.Concat(f.SignKeys(domain.KeyLogin), f.SignKeys(domain.KeyConversation), f.SignKeys(domain.KeySocket))
	return all
}

// records gives the newest record of each key, in the order of the log.
func (l *testLog) records(t testing.TB) []golden {
	t.Helper()
	ends, err := l.Ends(t.Context(), l.channels)
	if err != nil {
		t.Fatal(err)
	}
	var records []golden
	for msg, err := range l.Scan(t.Context(), l.channels, 0, 0, ends[0]) {
		if err != nil {
			t.Fatal(err)
		}
		g := goldenOf(msg)
		records = slices.DeleteFunc(records, func(other golden) bool { return other.Key == g.Key })
		records = append(records, g)
	}
	return records
}
