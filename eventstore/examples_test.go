package eventstore_test

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// example is an event that a golden file keeps. Files are only ever added: where
// a stored name gets another field, the name gets another example, called after
// what is new in it, in which every field is filled.
type example struct {
	added string // what is new in it; "" for the first of a name
	domain.Event
}

func (e example) file() string {
	if e.added == "" {
		return e.Type()
	}
	return e.Type() + "." + e.added
}

// examples has every stored event with every field filled that there was at the
// time, older ones first.
func examples() []example {
	return slices.Concat(firstExamples(), episodeExamples(), redriveExamples(), endpointExamples(), ticketExamples(), causeExamples())
}

// newest has the last example of each stored name.
func newest() map[string]example { return newestOf(examples()) }

func newestOf(examples []example) map[string]example {
	last := map[string]example{}
	for _, e := range examples {
		last[e.Type()] = e
	}
	return last
}

func id(word string) uuid.UUID { return domain.DeriveID("example", word) }

// firstExamples are those of when there were no episodes.
func firstExamples() []example {
	now := time.Date(2026, 3, 1, 9, 30, 0, 125e6, time.UTC)
	sent, next := now.Add(-2*time.Second), now.Add(5*time.Second)
	lat, long, zone := 38.7223, -9.1393, 5.5
	everything := domain.Content{
		Type: domain.ContentAttachment, Text: "Olá <3", Latitude: &lat, Longitude: &long, Address: "Rua Augusta 1",
		Attachment: &domain.Attachment{
			Type: "image", URL: "https://example.com/a.png?x=1&y=2", MimeType: "image/png", FileName: "a.png", Description: "the blue one",
		},
		Title: "Which one?", Replies: []string{"blue", "red"},
	}
	profile := &domain.Profile{
		FirstName: "Ada", LastName: "Example", PictureURL: "https://example.com/ada.png", Locale: "pt_PT", CountryCode: "PT",
		Timezone: &zone, Email: "ada@example.com", Phone: "+15550100", Language: "pt",
	}
	message, conversation, contact := id("message"), id("conversation"), id("contact")
	data := []domain.Data{
		domain.MessageReceived{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "x-1", SentAt: sent, Content: everything, Profile: profile,
		},
		domain.MessageEchoed{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "x-2", SentAt: sent, Content: everything, Profile: profile,
		},
		domain.MessageSent{
			MessageID: message, ConversationID: conversation, ContactID: contact, Content: everything, Author: "desk", Profile: profile,
		},
		domain.ReceiptRecorded{
			ConversationID: conversation, ExternalID: "x-3", Value: domain.StatusFailed, Reason: "number is not in service", OccurredAt: sent,
		},
		domain.ConversationClosed{ConversationID: conversation, Seen: message, Reason: domain.ClosedByAgent, By: "desk"},
		domain.ConversationAssigned{ConversationID: conversation, To: domain.HandlerAgent, AgentID: "agent-7", By: "desk"},
		domain.DeliveryAttempted{
			DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, Attempt: 3, StartedAt: sent, DurationMS: 412,
			Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "answered 503", ExternalID: "x-4",
			Response: "try later", NextAttemptAt: &next, Parks: true,
		},
		domain.DeliveryRedriven{DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, By: "desk"},
		domain.DeliveryDropped{DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, By: "desk"},
	}
	examples := make([]example, len(data))
	for i, d := range data {
		e := domain.Event{
			Account: "default", Channel: "204815162342", Dialect: domain.DialectRespondIO, ContactRef: "team/7", Time: now, Data: d,
		}
		e.ID = id(e.Type())
		examples[i] = example{Event: e}
	}
	return examples
}

// episodeExamples are those of when episodes came.
func episodeExamples() []example {
	now := time.Date(2026, 11, 21, 8, 15, 0, 250e6, time.UTC)
	sent, next := now.Add(-2*time.Second), now.Add(5*time.Second)
	lat, long, zone, topic := 38.7223, -9.1393, 5.5, int64(3)
	everything := domain.Content{
		Type: domain.ContentAttachment, Text: "Olá <3", Latitude: &lat, Longitude: &long, Address: "Rua Augusta 1",
		Attachment: &domain.Attachment{
			Type: "image", URL: "https://example.com/a.png?x=1&y=2", MimeType: "image/png", FileName: "a.png", Description: "the blue one",
		},
		Title: "Which one?", Replies: []string{"blue", "red"},
		Attachments: []domain.Item{{
			Type: domain.ItemUnsupported, URL: "https://example.com/b.pdf", MimeType: "application/pdf", FileName: "b.pdf", Name: "Ada",
			Number: "+15550100", Avatar: "https://example.com/ada.png", Latitude: &lat, Longitude: &long, Address: "Rua Augusta 1",
			Raw: json.RawMessage(`"sticker"`),
		}},
	}
	profile := &domain.Profile{
		FirstName: "Ada", LastName: "Example", PictureURL: "https://example.com/ada.png", Locale: "pt_PT", CountryCode: "PT",
		Timezone: &zone, Email: "ada@example.com", Phone: "+15550100", Language: "pt", DisplayName: "Ada E.", Visit: &domain.Visit{
			UTM: domain.Texts{"source": "spring"}, PageURL: "https://example.com/bags", PageTitle: "Bags", Latitude: &lat, Longitude: &long,
			Country: "Portugal", CountryCode: "PT", Region: "Lisboa", RegionCode: "11", City: "Lisbon", IPAddress: "192.0.2.1",
			DeviceType: "phone", DeviceModel: "One", UserAgent: "Mozilla/5.0",
		},
	}
	sender := &domain.Sender{
		Number: 7, Username: "grace", DisplayName: "Grace", Avatar: "https://example.com/grace.png", Email: "grace@example.com", Bot: true,
	}
	terms := &domain.Terms{Queue: 4, Function: 12, Wait: 600, CloseAfter: 86_400, BotClose: 3600}
	message, conversation, contact := id("message"), id("conversation"), id("contact")
	data := []domain.Data{
		domain.MessageReceived{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "x-1", SentAt: sent,
			Content: everything, Profile: profile, Terms: terms,
		},
		domain.MessageEchoed{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "x-2", SentAt: sent,
			Content: everything, Profile: profile,
		},
		domain.MessageSent{
			MessageID: message, ConversationID: conversation, ContactID: contact, Content: everything, Author: "desk",
			Profile: profile, Sender: sender, Terms: terms,
		},
		domain.ConversationClosed{
			ConversationID: conversation, Seen: message, SeenInbound: message, SeenActivity: id("activity"), Episode: 2,
			Reason: domain.ClosedByTimeout, By: "timers", Sender: sender,
		},
		domain.ConversationAssigned{
			ConversationID: conversation, To: domain.HandlerQueue, AgentID: "7", By: "desk", Queue: 4, Wait: 600, Function: 12,
			Skills: []domain.SkillLevel{{Skill: 3, Level: 5}}, Priority: 9, Handling: id("handling"), Idle: true, Terms: terms,
		},
		domain.ConversationMarked{
			ConversationID: conversation, Tags: []int64{5, 8}, ReplaceTags: true, Topic: &topic, Variables: domain.Texts{"order": "A-17"},
			Custom: domain.Texts{"crm": `{"deal":9}`}, By: "desk", Terms: terms,
		},
		domain.DeliveryAttempted{
			DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, Target: "204815162342#12", Attempt: 3,
			StartedAt: sent, DurationMS: 412, Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503,
			Detail: "answered 503", ExternalID: "x-4", Response: "try later", NextAttemptAt: &next, Parks: true,
		},
		domain.DeliveryRedriven{
			DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, Target: "204815162342#12", By: "desk",
		},
		domain.DeliveryDropped{
			DeliveryID: id("delivery"), MessageID: message, Conversation: conversation, Target: "204815162342#12", By: "desk",
		},
	}
	examples := make([]example, len(data))
	for i, d := range data {
		e := domain.Event{
			Account: "acme", Channel: "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33", Dialect: domain.DialectVoximplant,
			ContactRef: "team/7", Time: now, Data: d,
		}
		e.ID = id(e.Type())
		examples[i] = example{Event: e, added: "episodes"}
		if _, first := d.(domain.ConversationMarked); first {
			examples[i].added = ""
		}
	}
	return examples
}

// redriveExamples have what redrives tell since there are jobs of them.
func redriveExamples() []example {
	e := domain.Event{
		Account: "default", Channel: "204815162342", Dialect: domain.DialectVoximplant, ContactRef: "team/7",
		Time: time.Date(2026, 3, 1, 9, 30, 0, 125e6, time.UTC), Data: domain.DeliveryRedriven{
			DeliveryID: id("delivery"), MessageID: id("message"), Conversation: id("conversation"), Target: "204815162342#12",
			By: "desk", Attempt: 3,
		},
	}
	e.ID = id(e.Type())
	return []example{{added: "attempt", Event: e}}
}

// causeExamples have what attempts tell since the cause of a missing answer is kept
// beside what the dialect says of it.
func causeExamples() []example {
	now := time.Date(2026, 11, 21, 13, 30, 0, 250e6, time.UTC)
	next := now.Add(5 * time.Second)
	e := ticketIdentity(now).About("acme", now)
	e.Data = domain.DeliveryAttempted{
		DeliveryID: id("delivery"), MessageID: id("message"), Conversation: domain.TicketID("acme", 12), Target: domain.WebhookTarget("acme", 2),
		Attempt: 3, StartedAt: now.Add(-2 * time.Second), DurationMS: 412, Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503,
		Detail: "503 Service Unavailable", Cause: "connection refused", ExternalID: "x-4", Response: "try later", NextAttemptAt: &next, Parks: true,
	}
	e.ID = id(e.Type())
	return []example{{added: "cause", Event: e}}
}

// endpointExamples are what is decided about endpoints.
func endpointExamples() []example {
	now := time.Date(2026, 11, 21, 8, 15, 0, 250e6, time.UTC)
	since := now.Add(-6 * time.Hour)
	var examples []example
	for _, data := range []domain.Data{
		domain.EndpointWarning{
			Target: "204815162342", Stage: 2, FailingSince: since, FailedAt: now.Add(-time.Minute), Failures: 14, LastReason: domain.ReasonTimeout,
		},
		domain.EndpointStopped{
			Target: "204815162342", Reason: domain.EndpointFailing, FailingSince: &since, LastReason: domain.ReasonTimeout, By: "desk",
		},
		domain.EndpointResumed{Target: "204815162342", Reason: domain.EndpointAsked, Was: domain.EndpointPaused, By: "desk"},
	} {
		e := domain.Event{Account: "default", Channel: "204815162342", ContactRef: "endpoint", Time: now, Data: data}
		e.ID = id(e.Type())
		examples = append(examples, example{Event: e})
	}
	return examples
}
