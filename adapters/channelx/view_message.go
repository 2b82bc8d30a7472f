package channelx

import (
	"path"
	"strings"

	"github.com/parley-im/parley/domain"
)

// attachmentForm is a file of a message (channelx.md 3.10).
type attachmentForm struct {
	ID          int64   `json:"id"`
	MessageID   int64   `json:"message_id"`
	FileType    string  `json:"file_type"`
	AccountID   int64   `json:"account_id"`
	Extension   *string `json:"extension"`
	ContentType string  `json:"content_type"`
	DataURL     string  `json:"data_url"`
	ThumbURL    string  `json:"thumb_url"`
	FileSize    int64   `json:"file_size"`
	Width       *int    `json:"width"`
	Height      *int    `json:"height"`
	Transcribed *string `json:"transcribed_text,omitempty"` // of audio
}

func attachmentsOf(account int64, p domain.Post) []attachmentForm {
	var list []attachmentForm // nil: absent where there is none
	for _, f := range p.Files {
		form := attachmentForm{
			ID: f.ID, MessageID: p.ID, FileType: f.Kind, AccountID: account, Extension: textOrNull(strings.TrimPrefix(path.Ext(f.Name), ".")),
			ContentType: f.ContentType, DataURL: f.URL, FileSize: f.Size, Width: numberOrNull(f.Width), Height: numberOrNull(f.Height),
		}
		switch f.Kind {
		case "image":
			form.ThumbURL = f.URL
		case "audio":
			form.Transcribed = new(string)
		}
		list = append(list, form)
	}
	return list
}

// messageForm is a message of the application API (channelx.md 3.7).
type messageForm struct {
	ID             int64            `json:"id"`
	Content        *string          `json:"content"`
	InboxID        int64            `json:"inbox_id"`
	EchoID         string           `json:"echo_id,omitempty"`
	ConversationID int64            `json:"conversation_id"`
	MessageType    domain.PostType  `json:"message_type"`
	ContentType    string           `json:"content_type"`
	Status         domain.Status    `json:"status"`
	Attributes     domain.Object    `json:"content_attributes"`
	CreatedAt      int64            `json:"created_at"`
	Private        bool             `json:"private"`
	SourceID       *string          `json:"source_id"`
	Sender         any              `json:"sender,omitempty"`
	Attachments    []attachmentForm `json:"attachments,omitempty"`
}

// message shows a post of a channel, whose ticket is of a person, to operators.
func (v *view) message(ch domain.Channel, p domain.Post, person domain.Person, echo string) any {
	return messageForm{
		ID: p.ID, Content: p.Content, InboxID: ch.Inbox.Number, EchoID: echo, ConversationID: p.Number, MessageType: p.Type,
		ContentType: p.ContentType, Status: p.Status, Attributes: object(p.Attributes), CreatedAt: p.CreatedAt.Unix(),
		Private: p.Private, SourceID: textOrNull(p.SourceID), Sender: v.sender(p, person),
		Attachments: attachmentsOf(v.account(ch.Account).ID, p),
	}
}

// sender shows who a post is by; nil is nobody.
func (v *view) sender(p domain.Post, person domain.Person) any {
	switch {
	case p.By.Contact:
		return pushContactOf(person)
	case p.By.Operator != nil:
		return pushUserOf(*p.By.Operator, v.there.operator(p.By.Operator.ID))
	default:
		return nil
	}
}

// clientMessageForm is a message of the client API (channelx.md 3.9).
type clientMessageForm struct {
	ID             int64            `json:"id"`
	Content        *string          `json:"content"`
	MessageType    domain.PostType  `json:"message_type"`
	ContentType    string           `json:"content_type"`
	Attributes     domain.Object    `json:"content_attributes"`
	CreatedAt      int64            `json:"created_at"`
	ConversationID int64            `json:"conversation_id"`
	Attachments    []attachmentForm `json:"attachments,omitempty"`
	Sender         any              `json:"sender,omitempty"`
}

// clientMessage shows a post of a channel to the person whose ticket it is of.
func (v *view) clientMessage(ch domain.Channel, p domain.Post, person domain.Person) any {
	return clientMessageForm{
		ID: p.ID, Content: p.Content, MessageType: p.Type, ContentType: p.ContentType, Attributes: object(p.Attributes),
		CreatedAt: p.CreatedAt.Unix(), ConversationID: p.Number, Attachments: attachmentsOf(v.account(ch.Account).ID, p),
		Sender: v.sender(p, person),
	}
}

// pushMessageForm is a message of cable frames, and inside of conversations
// (channelx.md 3.8).
type pushMessageForm struct {
	ID                int64            `json:"id"`
	Content           *string          `json:"content"`
	AccountID         int64            `json:"account_id"`
	InboxID           int64            `json:"inbox_id"`
	ConversationID    int64            `json:"conversation_id"`
	MessageType       domain.PostType  `json:"message_type"`
	CreatedAt         int64            `json:"created_at"`
	UpdatedAt         string           `json:"updated_at"`
	Private           bool             `json:"private"`
	Status            domain.Status    `json:"status"`
	SourceID          *string          `json:"source_id"`
	ContentType       string           `json:"content_type"`
	Attributes        domain.Object    `json:"content_attributes"`
	SenderType        *string          `json:"sender_type"`
	SenderID          *int64           `json:"sender_id"`
	ExternalSourceIDs domain.Object    `json:"external_source_ids"`
	Additional        domain.Object    `json:"additional_attributes"`
	Processed         *string          `json:"processed_message_content"`
	Sentiment         domain.Object    `json:"sentiment"`
	Conversation      pushTicketForm   `json:"conversation"`
	EchoID            string           `json:"echo_id,omitempty"`
	Attachments       []attachmentForm `json:"attachments,omitempty"`
	Sender            any              `json:"sender,omitempty"`
}

// pushTicketForm is what a message tells of its conversation.
type pushTicketForm struct {
	AssigneeID     *int64         `json:"assignee_id"`
	UnreadCount    int            `json:"unread_count"`
	LastActivityAt int64          `json:"last_activity_at"`
	ContactInbox   pushSourceForm `json:"contact_inbox"`
}

type pushSourceForm struct {
	SourceID string `json:"source_id"`
}

// pushMessage shows a post in a scene.
func (v *view) pushMessage(p domain.Post, s domain.Scene, echo string) any {
	return v.pushMessageOf(p, s, echo)
}

func (v *view) pushMessageOf(p domain.Post, s domain.Scene, echo string) pushMessageForm {
	form := pushMessageForm{
		ID: p.ID, Content: p.Content, AccountID: s.Account.ID, InboxID: s.Inbox.ID, ConversationID: p.Number, MessageType: p.Type,
		CreatedAt: p.CreatedAt.Unix(), UpdatedAt: iso(p.UpdatedAt), Private: p.Private, Status: p.Status, SourceID: textOrNull(p.SourceID),
		ContentType: p.ContentType, Attributes: object(p.Attributes), ExternalSourceIDs: domain.Object{}, Additional: domain.Object{},
		Processed: p.Content, Sentiment: domain.Object{}, EchoID: echo, Attachments: attachmentsOf(s.Account.ID, p), Sender: v.sender(p, s.Person),
		Conversation: pushTicketForm{
			AssigneeID: numberOrNull(s.Ticket.Assignee), UnreadCount: s.Ticket.Unread, LastActivityAt: s.Ticket.LastActivityAt.Unix(),
			ContactInbox: pushSourceForm{s.Identity.SourceID},
		},
	}
	form.SenderType, form.SenderID = senderKey(p, s.Person)
	return form
}

// senderKey names who a post is by; nil is nobody.
func senderKey(p domain.Post, person domain.Person) (kind *string, id *int64) {
	switch {
	case p.By.Contact:
		return new("Contact"), new(person.ID)
	case p.By.Operator != nil:
		return new("User"), new(p.By.Operator.ID)
	default:
		return nil, nil
	}
}
