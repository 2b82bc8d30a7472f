package channelx

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// personInput is a person to be registered. Texts may be empty.
type personInput struct {
	Name, Email, Phone, Identifier, Avatar string
	Blocked                                bool
	Additional, Custom                     domain.Object
}

// personChange is what of a person changes: nil stays, the members of objects are
// merged into what is there.
type personChange struct {
	Name, Email, Phone, Identifier, Avatar *string
	Blocked                                *bool
	Additional, Custom                     domain.Object
}

// linkInput asks for an identity along with a person.
type linkInput struct {
	Channel  domain.Channel
	SourceID string // "" = one is made
	Proven   string // identifier that a contact has proved to have; "" = none
}

// ticketInput asks for a ticket: of an identity, or of a person on a channel, or
// of a source id alone (channelx.md 4.5).
type ticketInput struct {
	Channel            *domain.Channel
	Person             int64
	SourceID           string
	Identity           int64
	Status             domain.TicketStatus // "" = open
	Assignee, Team     int64               // 0 = none
	SnoozedUntil       *time.Time
	Additional, Custom domain.Object
	Message            *postInput // the first one; may be nil
}

// postInput asks for a post (channelx.md 4.6).
type postInput struct {
	Type        domain.PostType
	Content     *string
	ContentType string // "" = text
	Attributes  domain.Object
	Private     bool
	SourceID    string
	EchoID      string // told to sockets and not kept
	Key         string // a post of the ticket with the same key is the answer, and nothing happens
	Files       []domain.PostFile
	Template    bool // by the business, by itself, whatever Type says
}
