package domain

import (
	"slices"
	"time"
)

// Next is the ticket as its next revision.
func (t Ticket) Next(now time.Time) Ticket {
	t.Revision++
	t.UpdatedAt = Stamp(now)
	return t
}

// Toggled is the status that follows when none is named (channelx.md 4.5).
func (s TicketStatus) Toggled() TicketStatus {
	if s == TicketOpen {
		return TicketResolved
	}
	return TicketOpen
}

// Known tells whether the status is one of the closed set.
func (s TicketStatus) Known() bool { return slices.Contains(TicketStatuses, s) }

// Turn is the ticket in a status. Only a snoozed one waits until something, and
// nobody waits on one that is resolved (channelx.md 4.5 and 8.6).
func (t Ticket) Turn(status TicketStatus, snoozedUntil *time.Time) Ticket {
	t.Status, t.SnoozedUntil = status, nil
	if status == TicketSnoozed && snoozedUntil != nil {
		until := Stamp(*snoozedUntil)
		t.SnoozedUntil = &until
	}
	if status == TicketResolved {
		t.WaitingSince = nil
	}
	return t
}

// Reopen is the ticket before a message of its contact is taken in; false when the
// message does not open it (channelx.md 8.1).
func (t Ticket) Reopen(blocked bool, at time.Time) (Ticket, bool) {
	if blocked || t.Status != TicketResolved && t.Status != TicketSnoozed {
		return t, false
	}
	t = t.Turn(TicketOpen, nil)
	t.waitSince(at)
	return t, true
}

// Begun is a new ticket: resolved when its person is blocked (channelx.md 8.2),
// and otherwise waiting for an answer.
func (t Ticket) Begun(blocked bool, now time.Time) Ticket {
	now = Stamp(now)
	t.Revision, t.CreatedAt, t.UpdatedAt, t.LastActivityAt = 1, now, now, now
	if t.Status == "" {
		t.Status = TicketOpen
	}
	if blocked {
		t.Status = TicketResolved
	}
	t = t.Turn(t.Status, t.SnoozedUntil)
	if t.Status != TicketResolved {
		t.waitSince(now)
	}
	return t
}

func (t *Ticket) waitSince(at time.Time) {
	if t.WaitingSince == nil {
		at = Stamp(at)
		t.WaitingSince = &at
	}
}

// Take is the ticket with one post more (channelx.md 8.4, 8.6 and 8.8). A note is
// nobody's answer, whoever it is by.
func (t Ticket) Take(p Post) Ticket {
	at := p.CreatedAt
	t.LastPost = p.ID
	if at.After(t.LastActivityAt) {
		t.LastActivityAt = at
	}
	if p.Type == PostActivity {
		return t
	}
	t.LastSaid = p.ID
	if p.Private {
		return t
	}
	t.LastPublic = p.ID
	switch {
	case p.Type == PostIncoming:
		t.Unread = min(t.Unread+1, MaxUnread)
		t.LastIncomingAt = &at
		t.waitSince(at)
	case p.Type == PostOutgoing && p.By.Operator != nil:
		t.WaitingSince = nil
		if t.FirstReplyAt == nil {
			t.FirstReplyAt = &at
		}
	}
	return t
}

// SeenBy is the ticket after an operator has looked at it.
func (t Ticket) SeenBy(operator int64, now time.Time) Ticket {
	at := Stamp(now)
	t.AgentSeenAt, t.Unread = &at, 0
	if t.Assignee != 0 && t.Assignee == operator {
		t.AssigneeSeenAt = &at
	}
	return t
}

// Unsee is the ticket as if nobody had seen the contact's newest message, of which
// there are so many since just before it.
func (t Ticket) Unsee(unread int) Ticket {
	t.AgentSeenAt, t.AssigneeSeenAt, t.Unread = nil, nil, min(unread, MaxUnread)
	if t.LastIncomingAt != nil {
		before := t.UnseenFrom()
		t.AgentSeenAt, t.AssigneeSeenAt = &before, &before
	}
	return t
}

// UnseenFrom is just before the contact's newest message; zero when there is none.
func (t Ticket) UnseenFrom() time.Time {
	if t.LastIncomingAt == nil {
		return time.Time{}
	}
	return t.LastIncomingAt.Add(-time.Second)
}

// CanReply tells whether an inbox still lets operators answer (channelx.md 8.5).
func (t Ticket) CanReply(i Inbox, now time.Time) bool {
	hours, ok := i.Additional["agent_reply_time_window"].(float64)
	if !ok || hours <= 0 {
		return true
	}
	return t.LastIncomingAt != nil && now.Sub(*t.LastIncomingAt).Hours() < hours
}

// Since lists what others are told of that is not what it was (channelx.md 6.2);
// nil when there is nothing.
func (t Ticket) Since(before Ticket) []Change {
	var c changes
	c.text("status", string(before.Status), string(t.Status))
	c.time("snoozed_until", before.SnoozedUntil, t.SnoozedUntil)
	c.number("assignee_id", before.Assignee, t.Assignee)
	c.number("team_id", before.Team, t.Team)
	c.text("priority", before.Priority, t.Priority)
	c.texts("label_list", before.Labels, t.Labels)
	c.object("custom_attributes", before.Custom, t.Custom)
	c.time("waiting_since", before.WaitingSince, t.WaitingSince)
	c.time("first_reply_created_at", before.FirstReplyAt, t.FirstReplyAt)
	return c.at(before.UpdatedAt, t.UpdatedAt)
}
