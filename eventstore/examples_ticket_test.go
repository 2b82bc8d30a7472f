package eventstore_test

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/parley-im/parley/domain"
)

// ticketExamples are those of when tickets came. All of them are of one account and
// so of one partition key.
func ticketExamples() []example {
	now := time.Date(2026, 11, 21, 9, 45, 0, 250e6, time.UTC)
	sent := now.Add(-2 * time.Second)
	lat, long, zone := 38.7223, -9.1393, 5.5
	identity, posted, turned := ticketIdentity(now), ticketPosted(now), ticketTurned(now)
	by, account := posted.By, posted.Scene.Account
	person, changes, telling := posted.Scene.Person, posted.Changes, posted.Telling
	everything := domain.Content{
		Type: domain.ContentText, Text: "Olá <3", Latitude: &lat, Longitude: &long, Address: "Rua Augusta 1", Title: "Which one?",
		Attachment: &domain.Attachment{
			Type: "image", URL: "https://example.com/a.png?x=1&y=2", MimeType: "image/png", FileName: "a.png", Description: "the blue one",
		},
		Replies: []string{"blue", "red"},
		Attachments: []domain.Item{{
			Type: domain.ItemFile, URL: "https://example.com/b.pdf", MimeType: "application/pdf", FileName: "b.pdf", Name: "Ada",
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
	message, conversation, contact := id("message"), posted.Scene.Ticket.ID, domain.ContactID(identity.Channel, identity.Ref())
	var examples []example
	for _, d := range []domain.Data{
		domain.MessageReceived{
			MessageID: message, ConversationID: conversation, ContactID: contact, ExternalID: "ext-881", SentAt: sent,
			Content: everything, Profile: profile, Terms: terms, Posted: posted,
		},
		domain.MessageSent{
			MessageID: message, ConversationID: conversation, ContactID: contact, Content: everything, Author: "Grace",
			Profile: profile, Sender: sender, Terms: terms, Posted: posted,
		},
		domain.MessageNoted{MessageID: message, ConversationID: conversation, Posted: posted},
		domain.MessageChanged{MessageID: message, ConversationID: conversation, Posted: posted},
		domain.MessageFailed{MessageID: message, ConversationID: conversation, Error: "500 Internal Server Error", Posted: posted},
		domain.ConversationOpened{ConversationID: conversation, ContactID: contact, Turned: turned},
		domain.ConversationTurned{ConversationID: conversation, Turned: turned},
		domain.ConversationChanged{ConversationID: conversation, Turned: turned},
		domain.TypingNoticed{Telling: telling, ConversationID: conversation, On: true, Private: true, By: by, Scene: posted.Scene},
		domain.ContactLinked{Identity: identity},
	} {
		e := identity.About("acme", now)
		e.Data = d
		examples = append(examples, example{Event: e})
	}
	for _, d := range ticketDeliveries(sent, now.Add(5*time.Second)) {
		e := identity.About("acme", now)
		e.Data = d
		examples = append(examples, example{Event: e})
	}
	for i := range examples {
		if old := newestOf(slices.Concat(firstExamples(), episodeExamples(), redriveExamples(), endpointExamples()))[examples[i].Type()]; old.Data != nil {
			examples[i].added = "tickets"
		}
	}
	for _, d := range []domain.Data{
		domain.ContactRegistered{Telling: telling, Account: account, Person: person, Identity: &identity},
		domain.ContactChanged{Telling: telling, Account: account, Person: person, Changes: changes},
		domain.ContactMerged{Telling: telling, Account: account, Person: person, Merged: 78, Claimed: true, Changes: changes},
		domain.ContactRemoved{Person: person.ID},
	} {
		e := person.About("acme", now)
		e.Data = d
		examples = append(examples, example{Event: e})
	}
	for i := range examples {
		examples[i].ID = id(examples[i].Type())
	}
	return examples
}

// ticketDeliveries tell of a notice to a webhook.
func ticketDeliveries(started, next time.Time) []domain.Data {
	delivery, message, conversation, target := id("delivery"), id("message"), domain.TicketID("acme", 12), domain.WebhookTarget("acme", 2)
	return []domain.Data{
		domain.DeliveryAttempted{
			DeliveryID: delivery, MessageID: message, Conversation: conversation, Target: target, Attempt: 3,
			StartedAt: started, DurationMS: 412, Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503,
			Detail: "503 Service Unavailable", ExternalID: "x-4", Response: "try later", NextAttemptAt: &next, Parks: true,
		},
		domain.DeliveryRedriven{
			DeliveryID: delivery, MessageID: message, Conversation: conversation, Target: target, By: "desk", Attempt: 3,
		},
		domain.DeliveryDropped{DeliveryID: delivery, MessageID: message, Conversation: conversation, Target: target, By: "desk"},
	}
}

// attributes are what integrations name as they like.
func attributes() domain.Object {
	return domain.Object{"plan": "gold", "tier": 2.5, "vip": true, "gone": nil, "tags": []any{"a", "b"}, "crm": map[string]any{"deal": 9.0}}
}

func ticketIdentity(now time.Time) domain.Identity {
	return domain.Identity{
		ID: 91, Revision: 2, PersonID: 77, Channel: "731905284416", SourceID: "a5f0c1d2-7b34-4c8e-9d21-0f6b3e7a9c44", Verified: true, Claimed: true,
		TokenHash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", CreatedAt: now.Add(-time.Hour), UpdatedAt: now,
	}
}

func ticketPerson(now time.Time) domain.Person {
	return domain.Person{
		ID: 77, Revision: 3, Name: "Ana Prado", Email: "ana@example.com", Phone: "+5511988887777", Identifier: "crm-48213",
		Avatar: "https://example.com/ana.png", Blocked: true, Additional: attributes(), Custom: attributes(), Labels: []string{"vip"},
		CreatedAt: now.Add(-time.Hour), UpdatedAt: now,
	}
}

func ticketScene(now time.Time) domain.Scene {
	at := func(before time.Duration) *time.Time {
		t := now.Add(-before)
		return &t
	}
	post := ticketPost(now)
	operator := *post.By.Operator
	return domain.Scene{
		Account: domain.Named{ID: 2, Name: "Acme Ltd"}, Inbox: domain.Named{ID: 3, Name: "Mobile bridge"},
		Ticket: domain.Ticket{
			ID: domain.TicketID("acme", 12), Number: 12, Revision: 5, IdentityID: 91, Status: domain.TicketSnoozed, Priority: "high",
			Assignee: 7, Team: 4, Labels: []string{"refund"}, Custom: attributes(), Additional: attributes(), Unread: 2,
			SnoozedUntil: at(-time.Hour), FirstReplyAt: at(50 * time.Minute), WaitingSince: at(40 * time.Minute), AgentSeenAt: at(30 * time.Minute),
			AssigneeSeenAt: at(30 * time.Minute), ContactSeenAt: at(20 * time.Minute), LastIncomingAt: at(10 * time.Minute),
			LastActivityAt: now, LastPost: 502, LastSaid: 502, LastPublic: 501, CreatedAt: *at(time.Hour), UpdatedAt: now,
		},
		Person: ticketPerson(now), Identity: ticketIdentity(now), CanReply: true, Assignee: &operator,
		Team: &domain.Named{ID: 4, Name: "Sales"}, Public: &post,
	}
}

func ticketPost(now time.Time) domain.Post {
	text := "It ships today. 👋"
	return domain.Post{
		ID: 502, Message: id("message"), Ticket: domain.TicketID("acme", 12), Number: 12, Revision: 2, Type: domain.PostOutgoing,
		Content: &text, ContentType: "input_select", Attributes: attributes(), Status: domain.StatusSent, Private: true, SourceID: "ext-882",
		Key: "once-7", By: domain.Author{Contact: true, Operator: &domain.Operator{
			ID: 7, Name: "Grace Hall", Short: "Grace", Email: "grace@example.com", Avatar: "https://example.com/grace.png",
		}},
		Files: []domain.PostFile{{
			ID: 31, Kind: "image", Name: "a.png", ContentType: "image/png", URL: "https://example.com/files/x/a.png", Size: 1024,
			Width: 640, Height: 480, Voice: true,
		}},
		CreatedAt: now.Add(-time.Minute), UpdatedAt: now,
	}
}

func ticketPosted(now time.Time) *domain.Posted {
	post := ticketPost(now)
	return &domain.Posted{
		Telling: domain.Telling{Targets: []string{"", domain.WebhookTarget("acme", 2)}}, Post: post, Scene: ticketScene(now),
		Changes: []domain.Change{{Name: "status", Previous: "sent", Current: "read"}}, EchoID: "tmp-9", Again: true, By: post.By,
	}
}

func ticketTurned(now time.Time) domain.Turned {
	p := ticketPosted(now)
	return domain.Turned{Telling: p.Telling, Scene: p.Scene, Changes: p.Changes, By: p.By}
}
