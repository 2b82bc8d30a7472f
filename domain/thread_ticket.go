package domain

import (
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// needTickets lists what an event of a dialect with tickets touches.
func (n Needs) needTickets(r Recorded) {
	switch e := r.Data.(type) {
	case MessageReceived:
		n.posted(e.ContactID, e.ConversationID, e.MessageID)
	case MessageSent:
		n.posted(e.ContactID, e.ConversationID, e.MessageID)
	case MessageChanged:
		n.Messages[e.MessageID], n.Conversations[e.ConversationID] = struct{}{}, struct{}{}
	case MessageFailed:
		n.Messages[e.MessageID] = struct{}{}
	case ConversationOpened:
		n.Contacts[e.ContactID], n.Conversations[e.ConversationID] = struct{}{}, struct{}{}
	case ConversationTurned:
		n.Conversations[e.ConversationID] = struct{}{}
	case ConversationChanged:
		n.Conversations[e.ConversationID] = struct{}{}
	case DeliveryAttempted:
		n.attempt(e)
	case DeliveryRedriven:
		n.Messages[e.MessageID] = struct{}{}
	}
}

func (n Needs) posted(contact, conversation, message uuid.UUID) {
	n.Contacts[contact], n.Conversations[conversation], n.Messages[message] = struct{}{}, struct{}{}, struct{}{}
}

// applyTicket folds an event of a dialect with tickets, where Revisions has taken
// it. The conversation stands as the ticket does: no message opens or closes it.
func (t *Thread) applyTicket(r Recorded) {
	switch e := r.Data.(type) {
	case MessageReceived:
		if e.Posted != nil {
			t.spoken(r, e.ContactID, e.Posted, Message{
				ID: e.MessageID, Conversation: e.ConversationID, Direction: In, Kind: KindMessage, Content: e.Content,
				ExternalID: e.ExternalID, Status: StatusDelivered, SentAt: e.SentAt,
			})
		}
	case MessageSent:
		if e.Posted == nil {
			return
		}
		m := Message{
			ID: e.MessageID, Conversation: e.ConversationID, Direction: Out, Kind: KindMessage, Content: e.Content,
			ExternalID: e.Posted.Post.externalID(), Status: StatusQueued, Author: e.Author, Sender: e.Sender, SentAt: r.Time,
			History: []StatusChange{{Value: StatusQueued, Timestamp: r.Time}},
		}
		if !e.Posted.callsBack() {
			m.note(StatusChange{Value: StatusSent, Timestamp: r.Time}) // there is no callback to wait for
		}
		t.spoken(r, e.ContactID, e.Posted, m)
	case MessageChanged:
		if e.Posted != nil {
			t.reworded(r, e)
		}
	case MessageFailed:
		t.failed(r, e)
	case ConversationOpened:
		if t.Conversations[e.ConversationID] == nil {
			c := t.begin(r, e.ConversationID, e.ContactID)
			c.LastMessageAt, c.UpdatedAt = r.Time, r.Time
			c.stand(e.Turned, r.Time)
		}
		t.know(r, e.ContactID, e.Scene.Person)
		t.DirtyConversations[e.ConversationID] = struct{}{}
	case ConversationTurned:
		t.turned(r, e.ConversationID, e.Turned)
	case ConversationChanged:
		t.turned(r, e.ConversationID, e.Turned)
	case DeliveryAttempted:
		t.tried(r, e)
	case DeliveryRedriven:
		t.redelivered(r, e)
	}
}

// externalID is the id by which the integration knows a post.
func (p Post) externalID() string {
	if p.SourceID != "" {
		return Storable(p.SourceID)
	}
	return strconv.FormatInt(p.ID, 10)
}

// callsBack tells whether the channel's callback is told.
func (t Telling) callsBack() bool {
	return slices.Contains(t.Targets, "")
}

// spoken adds a message of a ticket.
func (t *Thread) spoken(r Recorded, contact uuid.UUID, p *Posted, m Message) {
	if t.Messages[m.ID] != nil {
		return // told before
	}
	m.Account, m.Channel, m.Position, m.RecordedAt = r.Account, r.Channel, r.Position, r.Time
	m.Content.Text, m.ExternalID = Storable(m.Content.Text), Storable(m.ExternalID)
	t.Messages[m.ID] = &m
	t.DirtyMessages[m.ID] = struct{}{}
	t.know(r, contact, p.Scene.Person)
	c := t.Conversations[m.Conversation]
	if c == nil {
		c = t.begin(r, m.Conversation, contact)
		c.stand(Turned{Scene: p.Scene, By: p.By}, r.Time)
	}
	c.Messages++
	c.LastMessage, c.LastText, c.LastMessageAt, c.UpdatedAt = m.ID, m.Content.preview(), r.Time, r.Time
	t.DirtyConversations[c.ID] = struct{}{}
}

// know makes the contact known as the account knows the person.
func (t *Thread) know(r Recorded, id uuid.UUID, p Person) {
	if t.Contacts[id] == nil {
		t.meet(r, id, nil)
	}
	c := t.Contacts[id]
	was := c.Profile
	c.Profile.DisplayName, c.Profile.Email, c.Profile.Phone, c.Profile.PictureURL = Storable(p.Name), Storable(p.Email), Storable(p.Phone), p.Avatar
	if was != c.Profile {
		c.UpdatedAt = r.Time
		t.DirtyContacts[id] = struct{}{}
	}
}

func (t *Thread) turned(r Recorded, id uuid.UUID, to Turned) {
	c := t.Conversations[id]
	if c == nil || !c.stand(to, r.Time) {
		return
	}
	c.UpdatedAt = r.Time
	t.DirtyConversations[id] = struct{}{}
}

// stand lets the conversation follow its ticket, and tells whether it moved.
func (c *Conversation) stand(to Turned, at time.Time) bool {
	ticket, was := to.Scene.Ticket, *c
	if status := ticket.conversation(); status != c.Status {
		c.Status, c.ClosedAt, c.CloseReason = status, nil, ""
		if c.Episode == 0 || status == StatusOpen {
			c.Episode, c.OpenedAt = c.Episode+1, at
		}
		if status == StatusClosed {
			c.ClosedAt, c.CloseReason = &at, ClosedByUnknown
			if to.By.Operator != nil {
				c.CloseReason = ClosedByAgent
			}
		}
	}
	c.Handler, c.AgentID = HandlerUnassigned, ""
	switch {
	case ticket.Assignee != 0:
		c.Handler, c.AgentID = HandlerAgent, strconv.FormatInt(ticket.Assignee, 10)
	case ticket.Team != 0:
		c.Handler = HandlerQueue
	}
	return c.Status != was.Status || c.Handler != was.Handler || c.AgentID != was.AgentID
}

// conversation is how the ticket stands to those who know no tickets.
func (t Ticket) conversation() ConversationStatus {
	if t.Status == TicketResolved {
		return StatusClosed
	}
	return StatusOpen
}

// reworded lets a message follow its post: what became of it, and what is left of
// it after a deletion.
func (t *Thread) reworded(r Recorded, e MessageChanged) {
	m, p := t.Messages[e.MessageID], e.Posted.Post
	if m == nil {
		return // a note, or an activity
	}
	if p.Deleted() { // nothing else changes what a post says
		m.Content = p.content()
		t.DirtyContents[m.ID] = struct{}{}
		if c := t.Conversations[m.Conversation]; c != nil && c.LastMessage == m.ID {
			c.LastText = m.Content.preview()
			t.DirtyConversations[c.ID] = struct{}{}
		}
	}
	reason := ""
	if failure := p.Failure(); failure != nil {
		reason = *failure
	}
	waits := m.Status == StatusQueued && p.Status == StatusSent
	if m.Direction == Out && !waits && (m.Status != p.Status || m.Reason != reason) {
		t.become(m, StatusChange{Value: p.Status, Timestamp: r.Time, Message: reason})
	}
}

// content is what the post says as a message of the platform.
func (p Post) content() Content {
	c := Content{Type: ContentText}
	if p.Content != nil {
		c.Text = Storable(*p.Content)
	}
	for _, f := range p.Files {
		c.Attachments = append(c.Attachments, Item{Type: f.Kind, URL: f.URL, MimeType: f.ContentType, FileName: f.Name})
	}
	return c
}

// become lets a message be what its post is: those who decided about the post
// have kept its rules.
func (t *Thread) become(m *Message, to StatusChange) {
	m.Status, m.Reason = to.Value, to.Message
	if len(m.History) < MaxHistory {
		m.History = append(m.History, to)
	}
	t.DirtyMessages[m.ID] = struct{}{}
}

// failed takes in that the callback did not take a post. What a contact wrote is
// there all the same.
func (t *Thread) failed(r Recorded, e MessageFailed) {
	if m := t.Messages[e.MessageID]; m != nil && m.Direction == Out && (m.Status != StatusFailed || m.Reason != e.Error) {
		t.become(m, StatusChange{Value: StatusFailed, Timestamp: r.Time, Message: e.Error})
	}
}

// tried lets an outgoing message follow the call that tells of it. That it failed
// is told by MessageFailed.
func (t *Thread) tried(r Recorded, e DeliveryAttempted) {
	m := t.Messages[e.MessageID]
	if m == nil || m.Direction != Out || e.Verdict != Delivered || m.Status != StatusQueued {
		return
	}
	t.become(m, StatusChange{Value: StatusSent, Timestamp: r.Time})
}

// redelivered puts a failed message back into the queue.
func (t *Thread) redelivered(r Recorded, e DeliveryRedriven) {
	if m := t.Messages[e.MessageID]; m != nil && m.Direction == Out && m.Status == StatusFailed {
		t.become(m, StatusChange{Value: StatusQueued, Timestamp: r.Time})
	}
}
