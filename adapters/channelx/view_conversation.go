package channelx

import (
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// conversationForm is a conversation of the application API (channelx.md 3.5).
type conversationForm struct {
	Meta            metaForm            `json:"meta"`
	ID              int64               `json:"id"`
	Messages        []pushMessageForm   `json:"messages"`
	AccountID       int64               `json:"account_id"`
	UUID            uuid.UUID           `json:"uuid"`
	Additional      domain.Object       `json:"additional_attributes"`
	AgentSeenAt     int64               `json:"agent_last_seen_at"`
	AssigneeSeenAt  int64               `json:"assignee_last_seen_at"`
	CanReply        bool                `json:"can_reply"`
	ContactSeenAt   int64               `json:"contact_last_seen_at"`
	Custom          domain.Object       `json:"custom_attributes"`
	InboxID         int64               `json:"inbox_id"`
	Labels          []string            `json:"labels"`
	Muted           bool                `json:"muted"`
	SnoozedUntil    *string             `json:"snoozed_until"`
	Status          domain.TicketStatus `json:"status"`
	CreatedAt       int64               `json:"created_at"`
	UpdatedAt       fraction            `json:"updated_at"`
	Timestamp       int64               `json:"timestamp"`
	FirstReplyAt    int64               `json:"first_reply_created_at"`
	UnreadCount     int                 `json:"unread_count"`
	LastNonActivity *pushMessageForm    `json:"last_non_activity_message"`
	LastActivityAt  int64               `json:"last_activity_at"`
	Priority        *string             `json:"priority"`
	WaitingSince    int64               `json:"waiting_since"`
	SLAPolicyID     *int64              `json:"sla_policy_id"`
}

// metaForm is whose a conversation is.
type metaForm struct {
	Sender       contactForm `json:"sender"`
	Channel      string      `json:"channel"`
	Assignee     any         `json:"assignee,omitempty"`
	AssigneeType string      `json:"assignee_type,omitempty"`
	Team         any         `json:"team,omitempty"`
	Verified     bool        `json:"hmac_verified"`
}

// assigneeUser is the type of assignees that are operators.
const assigneeUser = "User"

// conversation shows a ticket to operators.
func (v *view) conversation(t domain.TicketSeen) any {
	ch, _ := v.inboxes.Channel(t.Identity.Channel)
	s := v.scene(ch, t)
	form := conversationForm{
		Meta: metaForm{
			Sender: contactOf(t.Person, v.there.contact(t.Person.ID)), Channel: channelType, Verified: t.Identity.Verified,
		},
		ID: t.Number, Messages: []pushMessageForm{}, AccountID: s.Account.ID, UUID: t.ID, Additional: object(t.Additional),
		AgentSeenAt: unix(t.AgentSeenAt), AssigneeSeenAt: unix(t.AssigneeSeenAt), CanReply: s.CanReply, ContactSeenAt: unix(t.ContactSeenAt),
		Custom: object(t.Custom), InboxID: ch.Inbox.Number, Labels: nonNil(t.Labels), Muted: t.Person.Blocked,
		SnoozedUntil: isoOrNull(t.SnoozedUntil), Status: t.Status, CreatedAt: t.CreatedAt.Unix(), UpdatedAt: fraction(t.UpdatedAt),
		Timestamp: t.LastActivityAt.Unix(), FirstReplyAt: unix(t.FirstReplyAt), UnreadCount: t.Unread,
		LastActivityAt: t.LastActivityAt.Unix(), Priority: textOrNull(t.Priority), WaitingSince: unix(t.WaitingSince),
	}
	form.Meta.Sender.LastActivityAt = unix(t.LastIncomingAt)
	if o, role, ok := v.operator(ch.Account, t.Assignee); ok && t.Assignee != 0 {
		form.Meta.Assignee, form.Meta.AssigneeType = v.fullUser(ch.Account, o, role, v.there.operator(o.ID)), assigneeUser
	}
	if team, ok := v.directory.Queue(ch.Account, t.Team); ok && t.Team != 0 {
		form.Meta.Team = v.team(team, false)
	}
	if t.Post != nil {
		form.Messages = append(form.Messages, v.pushMessageOf(*t.Post, s, ""))
	}
	if t.Said != nil {
		form.LastNonActivity = new(v.pushMessageOf(*t.Said, s, ""))
	}
	return form
}

// scene is a ticket of a channel as of now.
func (v *view) scene(ch domain.Channel, t domain.TicketSeen) domain.Scene {
	s := domain.Scene{
		Account: v.account(ch.Account), Inbox: domain.Named{ID: ch.Inbox.Number, Name: ch.Name}, Ticket: t.Ticket, Person: t.Person,
		Identity: t.Identity, CanReply: t.CanReply(ch.Inbox, v.now()), Public: t.Public,
	}
	if o, _, ok := v.operator(ch.Account, t.Assignee); ok && t.Assignee != 0 {
		s.Assignee = &o
	}
	if team, ok := v.directory.Queue(ch.Account, t.Team); ok && t.Team != 0 {
		s.Team = &domain.Named{ID: team.Number, Name: team.Name}
	}
	return s
}

// clientConversationForm is a conversation of the client API (channelx.md 5.1).
type clientConversationForm struct {
	ID            int64               `json:"id"`
	UUID          uuid.UUID           `json:"uuid"`
	InboxID       int64               `json:"inbox_id"`
	ContactSeenAt int64               `json:"contact_last_seen_at"`
	Status        domain.TicketStatus `json:"status"`
	AgentSeenAt   int64               `json:"agent_last_seen_at"`
	Messages      []any               `json:"messages"`
	Contact       rawContactForm      `json:"contact"`
}

// clientConversation shows a ticket, with posts that the contact sees, to the
// person whose it is, who was last active at a time.
func (v *view) clientConversation(t domain.TicketSeen, posts []domain.Post, person domain.PersonSeen) any {
	ch, _ := v.inboxes.Channel(t.Identity.Channel)
	form := clientConversationForm{
		ID: t.Number, UUID: t.ID, InboxID: ch.Inbox.Number, ContactSeenAt: unix(t.ContactSeenAt), Status: t.Status,
		AgentSeenAt: unix(t.AgentSeenAt), Messages: make([]any, 0, len(posts)), Contact: v.rawContactOf(ch.Account, person),
	}
	for _, p := range posts {
		if p.Public() {
			form.Messages = append(form.Messages, v.clientMessage(ch, p, person.Person))
		}
	}
	return form
}

// pushConversationForm is a conversation of callbacks and cable frames (channelx.md
// 3.6).
type pushConversationForm struct {
	Additional     domain.Object       `json:"additional_attributes"`
	CanReply       bool                `json:"can_reply"`
	Channel        string              `json:"channel"`
	ContactInbox   contactInboxPush    `json:"contact_inbox"`
	ID             int64               `json:"id"`
	InboxID        int64               `json:"inbox_id"`
	Messages       []pushMessageForm   `json:"messages"`
	Labels         []string            `json:"labels"`
	Meta           pushMetaForm        `json:"meta"`
	Status         domain.TicketStatus `json:"status"`
	Custom         domain.Object       `json:"custom_attributes"`
	SnoozedUntil   *string             `json:"snoozed_until"`
	UnreadCount    int                 `json:"unread_count"`
	FirstReplyAt   *string             `json:"first_reply_created_at"`
	Priority       *string             `json:"priority"`
	WaitingSince   int64               `json:"waiting_since"`
	AgentSeenAt    int64               `json:"agent_last_seen_at"`
	ContactSeenAt  int64               `json:"contact_last_seen_at"`
	LastActivityAt int64               `json:"last_activity_at"`
	Timestamp      int64               `json:"timestamp"`
	CreatedAt      int64               `json:"created_at"`
	UpdatedAt      fraction            `json:"updated_at"`
	Account        *domain.Named       `json:"account,omitempty"`    // of callbacks
	AccountID      int64               `json:"account_id,omitempty"` // of cable frames
}

type contactInboxPush struct {
	ID          int64  `json:"id"`
	ContactID   int64  `json:"contact_id"`
	InboxID     int64  `json:"inbox_id"`
	SourceID    string `json:"source_id"`
	CreatedAt   string `json:"created_at"`
	UpdatedAt   string `json:"updated_at"`
	Verified    bool   `json:"hmac_verified"`
	PubsubToken string `json:"pubsub_token"`
}

type pushMetaForm struct {
	Sender       pushContactForm `json:"sender"`
	Assignee     *pushUserForm   `json:"assignee"`
	AssigneeType *string         `json:"assignee_type"`
	Team         *domain.Named   `json:"team"`
	Verified     bool            `json:"hmac_verified"`
}

// pushConversationOf shows a scene: to a callback, or on a cable.
func (v *view) pushConversationOf(s domain.Scene, callback bool) pushConversationForm {
	t := s.Ticket
	form := pushConversationForm{
		Additional: object(t.Additional), CanReply: s.CanReply, Channel: channelType, ID: t.Number, InboxID: s.Inbox.ID,
		ContactInbox: contactInboxPush{
			ID: s.Identity.ID, ContactID: s.Identity.PersonID, InboxID: s.Inbox.ID, SourceID: s.Identity.SourceID,
			CreatedAt: iso(s.Identity.CreatedAt), UpdatedAt: iso(s.Identity.UpdatedAt), Verified: s.Identity.Verified,
			PubsubToken: v.minter.SocketToken(identityOwner(s.Identity.ID)),
		},
		Messages: []pushMessageForm{}, Labels: nonNil(t.Labels), Status: t.Status, Custom: object(t.Custom),
		Meta:         pushMetaForm{Sender: pushContactOf(s.Person), Team: s.Team, Verified: s.Identity.Verified},
		SnoozedUntil: isoOrNull(t.SnoozedUntil), UnreadCount: t.Unread, FirstReplyAt: isoOrNull(t.FirstReplyAt), Priority: textOrNull(t.Priority),
		WaitingSince: unix(t.WaitingSince), AgentSeenAt: unix(t.AgentSeenAt), ContactSeenAt: unix(t.ContactSeenAt),
		LastActivityAt: t.LastActivityAt.Unix(), Timestamp: t.LastActivityAt.Unix(), CreatedAt: t.CreatedAt.Unix(), UpdatedAt: fraction(t.UpdatedAt),
	}
	if s.Assignee != nil {
		form.Meta.Assignee, form.Meta.AssigneeType = new(pushUserOf(*s.Assignee, v.there.operator(s.Assignee.ID))), new(assigneeUser)
	}
	if s.Public != nil {
		form.Messages = append(form.Messages, v.pushMessageOf(*s.Public, s, ""))
	}
	if callback {
		form.Account = &s.Account
	} else {
		form.AccountID = s.Account.ID
	}
	return form
}
