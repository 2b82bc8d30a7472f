package domain

import (
	"time"

	"github.com/google/uuid"
)

// PostType says what a post is (channelx.md 3.1): an integer on most of the wire,
// a text at the top of a callback.
type PostType int

// The types.
const (
	PostIncoming PostType = 0 // by the contact
	PostOutgoing PostType = 1 // by the business
	PostActivity PostType = 2 // what happened to the conversation; shown to operators alone
	PostTemplate PostType = 3 // by the business, by itself
)

var postTypes = []string{"incoming", "outgoing", "activity", "template"}

// String is the type's text on the wire.
func (t PostType) String() string {
	if t < 0 || int(t) >= len(postTypes) {
		return "unknown"
	}
	return postTypes[t]
}

// PostTypeOf reads the text of a type.
func PostTypeOf(s string) (PostType, bool) {
	for i, t := range postTypes {
		if t == s {
			return PostType(i), true
		}
	}
	return 0, false
}

// Post is a message of a ticket, as operators see it: with notes of their own
// and with activities, which are no Message (channelx.md 3.7).
type Post struct {
	ID          int64      `json:"id"`      // of the installation, growing within a ticket
	Message     uuid.UUID  `json:"message"` // the same as a Message, where it is one
	Ticket      uuid.UUID  `json:"ticket"`
	Number      int64      `json:"number"`   // of the ticket
	Revision    int        `json:"revision"` // counts changes, from 1
	Type        PostType   `json:"type"`
	Content     *string    `json:"content,omitempty"`
	ContentType string     `json:"content_type"`
	Attributes  Object     `json:"content_attributes,omitempty"`
	Status      Status     `json:"status"` // sent, delivered, read or failed
	Private     bool       `json:"private,omitempty"`
	SourceID    string     `json:"source_id,omitempty"` // that the integration gave; not unique
	Key         string     `json:"key,omitempty"`       // idempotency key that it came with
	By          Author     `json:"by,omitzero"`
	Files       []PostFile `json:"files,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// Public tells whether the contact sees the post.
func (p Post) Public() bool { return !p.Private && p.Type != PostActivity }

// Deleted tells whether the post was deleted: it is still there, but says so alone
// (channelx.md 4.6).
func (p Post) Deleted() bool {
	deleted, _ := p.Attributes["deleted"].(bool)
	return deleted
}

// Failure is why a post has failed, nil when it has not.
func (p Post) Failure() *string {
	if p.Status != StatusFailed {
		return nil
	}
	text, _ := p.Attributes[ExternalError].(string)
	return &text
}

// ExternalError is the attribute of a post that tells why it failed.
const ExternalError = "external_error"

// Author is who a post is by: an operator as they were then, the ticket's person,
// or nobody.
type Author struct {
	Contact  bool      `json:"contact,omitempty"`
	Operator *Operator `json:"operator,omitempty"`
}

// PostFile is a file that goes with a post (channelx.md 3.10).
type PostFile struct {
	ID          int64  `json:"id"`        // of the installation
	Kind        string `json:"file_type"` // image, video, audio or file
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	URL         string `json:"url"`
	Size        int64  `json:"size"` // bytes
	Width       int    `json:"width,omitempty"`
	Height      int    `json:"height,omitempty"`
	Voice       bool   `json:"voice,omitempty"`
}

// PostQuery asks for posts of a ticket; they come oldest first.
type PostQuery struct {
	Account    string
	Number     int64
	Before     int64 // only smaller ids; 0 = no bound
	After      int64 // only larger ids, with Before also this one; 0 = no bound
	PublicOnly bool
	Limit      int
	Newest     bool // of those that fit the newest Limit, otherwise the oldest
}
