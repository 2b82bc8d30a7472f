package channelx

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// mostAtOnce is how many tickets are decided about together: their locks are held, and
// others wait for them, for as long as that takes.
const mostAtOnce = 50

// aboutMany carries out a command about tickets of an account, and counts those of
// which it told something. It decides about many at once, under all of their locks:
// what each of them waits for, the rows, the log and the rows again, is waited for
// once. Tickets that are gone are passed over. If this process dies on the way, some
// are as the command wants them and the others as they were.
func (d *desk) aboutMany(
	ctx context.Context, kind task, a actor, numbers []int64, decide func(context.Context, *draft) error,
) (int, error) {
	done := 0
	for together := mostAtOnce; len(numbers) > 0; {
		some := numbers[:min(together, len(numbers))]
		n, err := d.aboutSome(ctx, kind, a, some, decide)
		done += n
		switch {
		case domain.CodeOf(err) == domain.CodeTooLarge && len(some) > 1:
			together = len(some) / 2 // the log takes them in smaller parts
		case err != nil:
			return done, err
		default:
			numbers = numbers[len(some):]
		}
	}
	return done, nil
}

func (d *desk) aboutSome(
	ctx context.Context, kind task, a actor, numbers []int64, decide func(context.Context, *draft) error,
) (int, error) {
	account := a.account.Name
	names, ids := make([]string, len(numbers)), make([]uuid.UUID, len(numbers))
	for i, number := range numbers {
		names[i], ids[i] = lockTicket(account, number), domain.TicketID(account, number)
	}
	done := map[int64]bool{}
	err := d.run(ctx, kind, account, names, func(ctx context.Context) (decision, error) {
		rows, err := d.ticketsOf(ctx, account, ids)
		if err != nil {
			return decision{}, err
		}
		var events []domain.Event
		drafts := map[int64]*draft{}
		for _, row := range rows {
			draft, err := d.draftOf(a, row)
			if errors.Is(err, errNotThere) {
				continue // its inbox is gone
			}
			if err != nil {
				return decision{}, err
			}
			if err := decide(ctx, draft); err != nil {
				return decision{}, err
			}
			if len(draft.events) > 0 {
				draft.settle()
				events = append(events, draft.events...)
				drafts[row.Number] = draft
			}
		}
		return decision{events: events, landed: func(ctx context.Context) (bool, error) {
			rows, err := d.ticketsOf(ctx, account, ids)
			if err != nil {
				return false, err
			}
			missing := len(drafts)
			for _, row := range rows {
				if draft := drafts[row.Number]; draft != nil && sameTicket(row.Ticket, draft.ticket) {
					done[row.Number] = true
					missing--
				}
			}
			return missing == 0, nil
		}}, nil
	})
	return len(done), err
}

// ticketsOf reads tickets, in the order of their numbers.
func (d *desk) ticketsOf(ctx context.Context, account string, ids []uuid.UUID) ([]domain.TicketSeen, error) {
	rows, err := d.Tickets.Tickets(ctx, domain.TicketQuery{Account: account, IDs: ids, Limit: len(ids)})
	slices.SortFunc(rows, func(a, b domain.TicketSeen) int { return cmp.Compare(a.Number, b.Number) })
	return rows, err
}
