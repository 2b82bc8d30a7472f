package channelx

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// lookedJustNow is how old a look may be that is news, of a ticket of which nothing
// was known.
const lookedJustNow = 10 * time.Second

// shown is one thing that sockets are shown.
type shown struct {
	event    string
	identity *domain.Identity // whose; nil = contacts are not shown it
	channel  string           // whose operators are; "" = all of the account
	typist   domain.Author    // who is not shown it
	by       *domain.Operator // who caused it
	// One of these is the data.
	message *domain.Post
	echo    string
	changes []domain.Change
	scene   *domain.Scene
	typing  *domain.TypingNoticed
	person  *domain.Person
	removed int64
}

// shownOf lists what an event shows. revision is that of its post as it was known.
func (t *teller) shownOf(r domain.Recorded, revision int) []shown {
	switch e := r.Data.(type) {
	case domain.MessageReceived:
		return messageShown("message.created", e.Posted, r.Channel)
	case domain.MessageSent:
		return messageShown("message.created", e.Posted, r.Channel)
	case domain.MessageNoted:
		return messageShown("message.created", e.Posted, r.Channel)
	case domain.MessageChanged:
		if e.Posted != nil && len(e.Posted.Changes) == 0 {
			return nil // it goes to its callback once more; here it is what it was
		}
		return messageShown("message.updated", e.Posted, r.Channel)
	case domain.MessageFailed:
		return messageShown("message.updated", t.failed(r, e, revision), r.Channel)
	case domain.ConversationOpened:
		return []shown{ticketShown("conversation.created", e.Turned, r.Channel)}
	case domain.ConversationTurned:
		return []shown{ticketShown("conversation.status_changed", e.Turned, r.Channel)}
	case domain.ConversationChanged:
		return changeShown(e.Turned, r)
	case domain.TypingNoticed:
		event := "conversation.typing_off"
		if e.On {
			event = "conversation.typing_on"
		}
		s := shown{event: event, channel: r.Channel, typist: e.By, by: e.By.Operator, scene: &e.Scene, typing: &e}
		if !e.Private && !e.By.Contact {
			s.identity = &e.Scene.Identity
		}
		return []shown{s}
	case domain.ContactRegistered:
		return []shown{{event: "contact.created", person: &e.Person}}
	case domain.ContactChanged:
		return []shown{{event: "contact.updated", person: &e.Person}}
	case domain.ContactMerged:
		return []shown{{event: "contact.merged", person: &e.Person}}
	case domain.ContactRemoved:
		return []shown{{event: "contact.deleted", removed: e.Person}}
	default:
		return nil
	}
}

// messageShown shows a post: to the contact unless it is a note or an activity.
func messageShown(event string, p *domain.Posted, channel string) []shown {
	if p == nil {
		return nil
	}
	s := shown{event: event, channel: channel, by: p.By.Operator, message: &p.Post, echo: p.EchoID, scene: &p.Scene}
	if event == "message.updated" {
		s.changes = p.Changes
	}
	if p.Post.Public() {
		s.identity = &p.Scene.Identity
	}
	return []shown{s}
}

// ticketShown shows a ticket to its contact and to operators.
func ticketShown(event string, e domain.Turned, channel string) shown {
	return shown{event: event, identity: &e.Scene.Identity, channel: channel, by: e.By.Operator, scene: &e.Scene}
}

// changeShown shows what changed of a ticket: to the contact once, to operators
// also as what it is.
func changeShown(e domain.Turned, r domain.Recorded) []shown {
	var list []shown
	operators := func(event string) shown {
		s := ticketShown(event, e, r.Channel)
		s.identity = nil
		return s
	}
	if len(e.Changes) > 0 {
		list = append(list, ticketShown("conversation.updated", e, r.Channel))
	}
	for _, c := range e.Changes {
		switch c.Name {
		case "assignee_id":
			list = append(list, operators("assignee.changed"))
		case "team_id":
			list = append(list, operators("team.changed"))
		case "first_reply_created_at":
			if e.Scene.Public != nil && c.Previous == nil {
				s := operators("first.reply.created")
				s.message = e.Scene.Public
				list = append(list, s)
			}
		}
	}
	return list
}

// lookedAt shows operators that the contact has looked at a ticket, whichever event
// tells of it.
func (t *teller) lookedAt(r domain.Recorded) []shown {
	scene, by := sceneOf(r.Data)
	if scene == nil || scene.Ticket.ContactSeenAt == nil {
		return nil
	}
	seen := *scene.Ticket.ContactSeenAt
	last, known := t.looked.get(scene.Ticket.ID)
	if known && !seen.After(last) {
		return nil
	}
	t.looked.put(scene.Ticket.ID, seen)
	// What was before anything is known of the ticket is no news.
	if !by.Contact || !known && r.Time.Sub(seen) > lookedJustNow {
		return nil
	}
	return []shown{{event: "conversation.read", channel: r.Channel, scene: scene}}
}

// sceneOf gives the scene of an event that tells of a post or a ticket, and who
// caused it; nil when there is none.
func sceneOf(data domain.Data) (*domain.Scene, domain.Author) {
	var p *domain.Posted
	switch e := data.(type) {
	case domain.MessageReceived:
		p = e.Posted
	case domain.MessageSent:
		p = e.Posted
	case domain.MessageNoted:
		p = e.Posted
	case domain.MessageChanged:
		p = e.Posted
	case domain.ConversationOpened:
		return &e.Scene, e.By
	case domain.ConversationTurned:
		return &e.Scene, e.By
	case domain.ConversationChanged:
		return &e.Scene, e.By
	}
	if p == nil {
		return nil, domain.Author{}
	}
	return &p.Scene, p.By
}
