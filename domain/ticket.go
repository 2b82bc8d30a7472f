package domain

import (
	"strconv"
	"time"

	"github.com/google/uuid"
)

// TicketStatus is where a ticket stands (channelx.md 3.1).
type TicketStatus string

// The statuses.
const (
	TicketOpen     TicketStatus = "open"
	TicketResolved TicketStatus = "resolved"
	TicketPending  TicketStatus = "pending"
	TicketSnoozed  TicketStatus = "snoozed"
)

// TicketStatuses is the closed set.
var TicketStatuses = []TicketStatus{TicketOpen, TicketResolved, TicketPending, TicketSnoozed}

// TicketPriorities is the closed set, lowest first; "" is none.
var TicketPriorities = []string{"low", "medium", "high", "urgent"}

// MaxUnread is where counting unread messages ends (channelx.md 8.4).
const MaxUnread = 10

// Ticket is a conversation in a dialect where a person may have several of them,
// numbered in the account (channelx.md 3.5). Events carry it whole, as it is after
// them; the fold takes the one of the highest revision.
type Ticket struct {
	ID             uuid.UUID    `json:"id"`
	Number         int64        `json:"number"`   // of the account, from 1 without gaps
	Revision       int          `json:"revision"` // grows with every change, see Settled
	IdentityID     int64        `json:"identity_id"`
	Status         TicketStatus `json:"status"`
	Priority       string       `json:"priority,omitempty"`
	Assignee       int64        `json:"assignee_id,omitempty"` // an Operator
	Team           int64        `json:"team_id,omitempty"`
	Labels         []string     `json:"labels,omitempty"` // sorted
	Custom         Object       `json:"custom_attributes,omitempty"`
	Additional     Object       `json:"additional_attributes,omitempty"`
	Unread         int          `json:"unread,omitempty"` // messages of the contact that no operator has seen, at most MaxUnread
	SnoozedUntil   *time.Time   `json:"snoozed_until,omitempty"`
	FirstReplyAt   *time.Time   `json:"first_reply_at,omitempty"`
	WaitingSince   *time.Time   `json:"waiting_since,omitempty"`
	AgentSeenAt    *time.Time   `json:"agent_seen_at,omitempty"`
	AssigneeSeenAt *time.Time   `json:"assignee_seen_at,omitempty"`
	ContactSeenAt  *time.Time   `json:"contact_seen_at,omitempty"`
	LastIncomingAt *time.Time   `json:"last_incoming_at,omitempty"`
	LastActivityAt time.Time    `json:"last_activity_at"`
	LastPost       int64        `json:"last_post,omitempty"`   // newest message of any kind
	LastSaid       int64        `json:"last_said,omitempty"`   // newest that is no activity
	LastPublic     int64        `json:"last_public,omitempty"` // newest that is neither private nor activity
	CreatedAt      time.Time    `json:"created_at"`
	UpdatedAt      time.Time    `json:"updated_at"`
}

// TicketID is the id of the numbered conversation of an account.
func TicketID(account string, number int64) uuid.UUID {
	return DeriveID("ticket", account, strconv.FormatInt(number, 10))
}

// TicketSeen is a ticket with what belongs to it.
type TicketSeen struct {
	Ticket

	Person   Person
	Identity Identity
	Post     *Post // newest message of any kind
	Said     *Post // newest that is no activity
	Public   *Post // newest that is neither private nor activity
}

// TicketQuery asks for tickets of an account.
type TicketQuery struct {
	Account       string
	IDs           []uuid.UUID    // nil = any
	Channels      []string       // that the caller may see; nil = all
	Statuses      []TicketStatus // nil = any
	Person        int64
	Identity      int64
	SourceID      string
	Assignee      int64 // 0 = anybody
	Assigned      *bool // has somebody, or nobody
	Team          int64
	Labels        []string // all of them
	Search        string   // in the text of messages
	Conditions    []Condition
	UpdatedSince  *time.Time
	Sort          string // last_activity_at, created_at, priority, waiting_since, unread; "" = last_activity_at
	Ascending     bool
	Offset, Limit int
}

// TicketCounts are the figures over a list of tickets (channelx.md 4.5).
type TicketCounts struct{ Mine, Assigned, Unassigned, All int64 }
