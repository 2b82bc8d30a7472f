package channelx

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/parley-im/parley/domain"
)

// The bodies of callbacks (channelx.md 6.3).
type (
	messageCall struct {
		Account      domain.Named         `json:"account"`
		Additional   domain.Object        `json:"additional_attributes"`
		Attributes   domain.Object        `json:"content_attributes"`
		ContentType  string               `json:"content_type"`
		Content      *string              `json:"content"`
		Conversation pushConversationForm `json:"conversation"`
		CreatedAt    string               `json:"created_at"`
		ID           int64                `json:"id"`
		Inbox        domain.Named         `json:"inbox"`
		MessageType  string               `json:"message_type"`
		Private      bool                 `json:"private"`
		Sender       any                  `json:"sender"`
		SourceID     *string              `json:"source_id"`
		Status       domain.Status        `json:"status"`
		Attachments  []attachmentForm     `json:"attachments,omitempty"`
		Event        string               `json:"event"`
		// Changes are left out of message_created.
		Changes *[]map[string]change `json:"changed_attributes,omitempty"`
	}
	conversationCall struct {
		pushConversationForm

		Event string `json:"event"`
		// Changes are left out of conversation_created.
		Changes *[]map[string]change `json:"changed_attributes,omitempty"`
	}
	typingCall struct {
		Event        string               `json:"event"`
		User         any                  `json:"user"`
		Conversation pushConversationForm `json:"conversation"`
		Private      bool                 `json:"is_private"`
	}
	contactCall struct {
		callbackContactForm

		Event string `json:"event"`
		// Changes are left out of contact_created.
		Changes *[]map[string]change `json:"changed_attributes,omitempty"`
	}
)

// callbackBody is what a callback says of a notice. It follows from the notice and
// the installation's key alone, so that every try, and a rebuild, says the same.
func (v *view) callbackBody(n domain.Notice) ([]byte, error) {
	var body any
	var changes *[]map[string]change
	switch n.Name {
	case domain.NoticeConversationUpdated, domain.NoticeConversationStatusChanged, domain.NoticeContactUpdated, domain.NoticeMessageUpdated:
		list := changesOf(n.Changes)
		changes = &list
	}
	switch {
	case n.Name == domain.NoticeContactCreated, n.Name == domain.NoticeContactUpdated:
		if n.Person == nil {
			return nil, fmt.Errorf("tell %s: there is no contact", n.Name)
		}
		body = contactCall{callbackContactOf(n.Account, *n.Person), n.Name, changes}
	case n.Scene == nil:
		return nil, fmt.Errorf("tell %s: there is no conversation", n.Name)
	case n.Name == domain.NoticeMessageCreated, n.Name == domain.NoticeMessageUpdated:
		if n.Post == nil {
			return nil, fmt.Errorf("tell %s: there is no message", n.Name)
		}
		body = v.messageCall(n, changes)
	case n.Name == domain.NoticeTypingOn, n.Name == domain.NoticeTypingOff:
		body = typingCall{n.Name, callbackAuthor(n.By, *n.Scene), v.pushConversationOf(*n.Scene, true), n.Private}
	case n.Name == domain.NoticeConversationCreated, n.Name == domain.NoticeConversationUpdated, n.Name == domain.NoticeConversationStatusChanged:
		body = conversationCall{v.pushConversationOf(*n.Scene, true), n.Name, changes}
	default:
		return nil, fmt.Errorf("tell %s: nobody knows it", n.Name)
	}
	return encode(body)
}

func (v *view) messageCall(n domain.Notice, changes *[]map[string]change) messageCall {
	p, s := *n.Post, *n.Scene
	return messageCall{
		Account: s.Account, Additional: domain.Object{}, Attributes: object(p.Attributes), ContentType: p.ContentType,
		Content: tidyContent(p.Content), Conversation: v.pushConversationOf(s, true), CreatedAt: iso(p.CreatedAt), ID: p.ID,
		Inbox: s.Inbox, MessageType: p.Type.String(), Private: p.Private, Sender: callbackAuthor(p.By, s),
		SourceID: textOrNull(p.SourceID), Status: p.Status, Attachments: attachmentsOf(s.Account.ID, p), Event: n.Name, Changes: changes,
	}
}

// callbackAuthor shows who is behind what a callback tells; null is nobody.
func callbackAuthor(by domain.Author, s domain.Scene) any {
	switch {
	case by.Contact:
		return callbackContactOf(s.Account, s.Person)
	case by.Operator != nil:
		return callbackUserOf(*by.Operator)
	default:
		return nil
	}
}

// encode gives compact JSON in which texts stand as they were written.
func encode(v any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.TrimRight(body.Bytes(), "\n"), nil
}
