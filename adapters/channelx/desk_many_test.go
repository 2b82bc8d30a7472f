package channelx

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Ensure that many tickets are decided about together, each as one that is decided
// about alone; that those that are resolved or gone are passed over; that what is too
// large for the log goes in smaller parts; and that after an error a repeat does the rest.
func TestPlatformMany(t *testing.T) {
	t.Parallel()
	l, p, first := onPlatform(t)
	ctx := t.Context()
	const count = 2*mostAtOnce + 7
	ids := []uuid.UUID{first.ID, uuid.New()} // the second is nobody's
	for range count - 1 {
		ticket, err := p.door.desk.open(ctx, byAdmin(), ticketInput{SourceID: first.Identity.SourceID})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ticket.ID)
	}
	status := func(want domain.TicketStatus) (n int) {
		for _, ticket := range l.tickets {
			if ticket.Status == want {
				n++
			}
		}
		return n
	}
	var appends []int // tickets that each append is about
	var largest int
	var away bool
	l.appending = func(events []domain.Event) error {
		about := map[uuid.UUID]bool{}
		for _, e := range events {
			switch data := e.Data.(type) {
			case domain.ConversationTurned:
				about[data.ConversationID] = true
			case domain.ConversationChanged:
				about[data.ConversationID] = true
			}
		}
		if largest > 0 && len(about) > largest {
			return domain.Errorf(domain.CodeTooLarge, "too large")
		}
		if away {
			return domain.Errorf(domain.CodeUnavailable, "away")
		}
		appends = append(appends, len(about))
		return nil
	}

	agent := int64(5)
	for _, id := range ids[2:5] {
		if err := p.Assign(ctx, platformAdmin, id, &agent, nil); err != nil {
			t.Fatal(err)
		}
	}
	appends = nil
	if n, err := p.LeaveAll(ctx, platformAdmin, ids[:10]); n != 3 || err != nil || !slices.Equal(appends, []int{3}) {
		t.Errorf("%d were left (%v) with appends of %v", n, err, appends)
	}
	for _, ticket := range l.tickets {
		if ticket.Assignee != 0 {
			t.Errorf("ticket %d is assigned to %d", ticket.Number, ticket.Assignee)
		}
	}

	if err := p.Close(ctx, platformAdmin, first.ID); err != nil {
		t.Fatal(err)
	}
	alone, before := 0, len(l.log)
	for _, r := range l.log {
		if turned, ok := r.Data.(domain.ConversationTurned); ok && turned.ConversationID == first.ID {
			alone++
		}
	}
	appends, largest = nil, mostAtOnce/2
	n, err := p.CloseAll(ctx, platformAdmin, ids[:mostAtOnce+1]) // half of them open tickets that fit
	if n != mostAtOnce-1 || err != nil || !slices.Equal(appends, []int{24, 25}) {
		t.Errorf("%d were closed (%v) with appends of %v", n, err, appends)
	}
	together := map[uuid.UUID]int{}
	for _, r := range l.log[before:] {
		if turned, ok := r.Data.(domain.ConversationTurned); ok {
			together[turned.ConversationID]++
		}
	}
	for id, told := range together {
		if told != alone {
			t.Errorf("%s is told of %d times, one that is closed alone %d times", id, told, alone)
		}
	}
	orderly(t, l.ledger)

	largest, away = 0, true
	if n, err := p.CloseAll(ctx, platformAdmin, ids); n != 0 || domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("with the log away %d were closed (%v)", n, err)
	}
	away = false
	if n, err := p.CloseAll(ctx, platformAdmin, ids); n != count-mostAtOnce || err != nil {
		t.Errorf("the rest is %d (%v)", n, err)
	}
	if n := status(domain.TicketResolved); n != count {
		t.Errorf("%d of %d are resolved", n, count)
	}
	if n, err := p.CloseAll(ctx, platformAdmin, ids); n != 0 || err != nil {
		t.Errorf("once more: %d (%v)", n, err)
	}
	if n, err := p.CloseAll(ctx, platformAdmin, nil); n != 0 || err != nil {
		t.Errorf("none: %d (%v)", n, err)
	}
}
