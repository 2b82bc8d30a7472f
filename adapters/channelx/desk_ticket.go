package channelx

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// turn puts a ticket into a status; without one it is closed when it is open, and
// opened otherwise. Who has the role agent and opens it becomes its assignee
// (channelx.md 4.5). A ticket that is there already stays as it is.
func (d *desk) turn(ctx context.Context, a actor, number int64, status domain.TicketStatus, snoozedUntil *time.Time) (domain.TicketSeen, error) {
	if status != "" && !status.Known() {
		return domain.TicketSeen{}, invalidChoice(string(status), "status")
	}
	return d.aboutTicket(ctx, toTurn, a, number, func(ctx context.Context, t *draft) error {
		if status == "" {
			// Kept for another try: toggled twice would be not at all.
			status = t.ticket.Status.Toggled()
		}
		after := t.ticket.Turn(status, snoozedUntil)
		if after.Status == t.ticket.Status && snoozedUntil == nil {
			after = t.ticket // it stays snoozed until whatever was said
		}
		if a.role == roleAgent && status == domain.TicketOpen {
			after.Assignee = a.id()
		}
		return t.shift(ctx, after)
	})
}

// resolve closes a ticket that is not; CodeConflict when it is.
func (d *desk) resolve(ctx context.Context, a actor, number int64) error {
	tried := false
	_, err := d.aboutTicket(ctx, toTurn, a, number, func(ctx context.Context, t *draft) error {
		if t.ticket.Status == domain.TicketResolved && !tried { // at another try it may have been us
			return domain.Errorf(domain.CodeConflict, "conversation is closed already")
		}
		tried = true
		return t.shift(ctx, t.ticket.Turn(domain.TicketResolved, nil))
	})
	return err
}

// maxQuoted is how much of what a caller sent a refusal repeats, in characters.
const maxQuoted = 100

// assign gives a ticket to an operator, or to a team; nil stays, and 0 takes it
// away. An operator is looked at before a team (channelx.md 4.5).
func (d *desk) assign(ctx context.Context, a actor, number int64, assignee, team *int64) (domain.TicketSeen, error) {
	return d.aboutTicket(ctx, toAssign, a, number, func(ctx context.Context, t *draft) error {
		after := t.ticket
		switch {
		case assignee != nil:
			after.Assignee = *assignee
		case team != nil:
			after.Team = *team
		}
		if err := d.staffed(a.account.Name, after); err != nil {
			return err
		}
		return t.shift(ctx, after)
	})
}

// staffed makes sure that who looks after a ticket is there.
func (d *desk) staffed(account string, t domain.Ticket) error {
	if _, _, ok := d.names.operator(account, t.Assignee); !ok && t.Assignee != 0 {
		return errNotThere
	}
	if _, ok := d.Directory.Queue(account, t.Team); !ok && t.Team != 0 {
		return errNotThere
	}
	return nil
}

// Bounds of labels; their texts are in characters.
const (
	maxLabels = 100
	maxLabel  = 255
)

// tidyLabels reads a set of labels.
func tidyLabels(labels []string) ([]string, error) {
	tidy := make([]string, 0, len(labels))
	for _, label := range labels {
		label = strings.TrimSpace(clean(label))
		if tooLong(label, maxLabel) {
			return nil, invalidRecord{[]string{tooLongText("Label list", maxLabel)}, []string{"label_list"}}
		}
		tidy = append(tidy, label)
	}
	if tidy = domain.Sorted(tidy); len(tidy) > maxLabels {
		return nil, invalidRecord{[]string{"Label list is too long"}, []string{"label_list"}}
	}
	return tidy, nil
}

// label gives a ticket these labels and no others.
func (d *desk) label(ctx context.Context, a actor, number int64, labels []string) (domain.TicketSeen, error) {
	labels, err := tidyLabels(labels)
	if err != nil {
		return domain.TicketSeen{}, err
	}
	return d.aboutTicket(ctx, toLabel, a, number, func(ctx context.Context, t *draft) error {
		after := t.ticket
		after.Labels = labels
		return t.shift(ctx, after)
	})
}

// setPriority gives a ticket a priority; "" takes it away.
func (d *desk) setPriority(ctx context.Context, a actor, number int64, priority string) (domain.TicketSeen, error) {
	if priority != "" && !slices.Contains(domain.TicketPriorities, priority) {
		return domain.TicketSeen{}, invalidChoice(priority, "priority")
	}
	return d.aboutTicket(ctx, toPrioritise, a, number, func(ctx context.Context, t *draft) error {
		after := t.ticket
		after.Priority = priority
		return t.shift(ctx, after)
	})
}

// setCustom gives a ticket these custom attributes and no others.
func (d *desk) setCustom(ctx context.Context, a actor, number int64, custom domain.Object) (domain.TicketSeen, error) {
	custom = tidyObject(custom)
	var f faults
	f.attributes("custom_attributes", custom)
	if err := f.record(); err != nil {
		return domain.TicketSeen{}, err
	}
	return d.aboutTicket(ctx, toCustomise, a, number, func(ctx context.Context, t *draft) error {
		after := t.ticket
		after.Custom = custom
		return t.shift(ctx, after)
	})
}

// shift tells that the ticket is what after says, and notes for operators what
// happened to it; nothing where it is that already.
func (d *draft) shift(ctx context.Context, after domain.Ticket) error {
	before := d.ticket
	if after.Since(before) == nil {
		return nil
	}
	d.become(after)
	for _, text := range d.activities(before) {
		if err := d.note(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// activities tells people what has happened to the ticket since before.
func (d *draft) activities(before domain.Ticket) []string {
	var list []string
	who, now := d.who(), d.ticket
	if now.Status != before.Status {
		list = append(list, statusActivity[now.Status]+" by "+who)
	}
	if now.Priority != before.Priority {
		switch {
		case now.Priority == "":
			list = append(list, who+" removed the priority")
		case before.Priority == "":
			list = append(list, who+" set the priority to "+now.Priority)
		default:
			list = append(list, who+" changed the priority from "+before.Priority+" to "+now.Priority)
		}
	}
	list = append(list, d.staffActivities(before, who)...)
	if added := lacking(now.Labels, before.Labels); len(added) > 0 {
		list = append(list, who+" added "+strings.Join(added, ", "))
	}
	if removed := lacking(before.Labels, now.Labels); len(removed) > 0 {
		list = append(list, who+" removed "+strings.Join(removed, ", "))
	}
	return list
}

var statusActivity = map[domain.TicketStatus]string{
	domain.TicketOpen:     "Conversation was reopened",
	domain.TicketResolved: "Conversation was resolved",
	domain.TicketPending:  "Conversation was marked as pending",
	domain.TicketSnoozed:  "Conversation was snoozed",
}

func (d *draft) staffActivities(before domain.Ticket, who string) []string {
	var list []string
	now, account := d.ticket, d.actor.account.Name
	if now.Assignee != before.Assignee {
		switch o, _, _ := d.desk.names.operator(account, now.Assignee); {
		case now.Assignee == 0:
			list = append(list, "Conversation unassigned by "+who)
		case now.Assignee == d.actor.id():
			list = append(list, who+" self-assigned this conversation")
		default:
			list = append(list, "Assigned to "+o.Name+" by "+who)
		}
	}
	if now.Team != before.Team {
		named := func(number int64) string {
			team, _ := d.desk.Directory.Queue(account, number)
			return team.Name
		}
		if now.Team == 0 {
			list = append(list, "Unassigned from "+named(before.Team)+" by "+who)
		} else {
			list = append(list, "Assigned to "+named(now.Team)+" by "+who)
		}
	}
	return list
}

// who names the actor to operators.
func (d *draft) who() string {
	switch {
	case d.actor.operator != nil:
		return d.actor.operator.Name
	case d.seen.Person.Name != "":
		return d.seen.Person.Name
	default:
		return "the contact"
	}
}

// lacking gives the texts that the other list has not.
func lacking(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}
