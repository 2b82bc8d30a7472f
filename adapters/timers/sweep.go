package timers

import (
	"context"
	"time"
)

const (
	// page is how many conversations a sweep asks for at first.
	page = 500
	// deepest is how many it asks for at most, when those in front are of no use.
	deepest = 16 * page
	// deepEvery is the pause between longer looks that found nothing to do.
	deepEvery = time.Second
)

// look asks the rows for at most limit conversations and tells how many there
// were, and what is to be decided about them that was not decided here before.
type look func(ctx context.Context, limit int) (found int, undecided []decision, err error)

// sweep looks and settles as long as there may be more. Rows lag behind the log, so
// conversations that were settled may still lead the list, and some lead it because
// nothing can be done about them: the next look is therefore a longer one.
func (k *Keeper) sweep(ctx context.Context, step string, look look, settle func(context.Context, []decision) (int, error)) error {
	awaited := k.cfg.Freshness == nil
	deep := time.Since(k.deep[step]) >= deepEvery
	for limit := page; ; {
		found, undecided, err := limited(ctx, limit, look)
		if err != nil {
			return err
		}
		if len(undecided) > 0 && !awaited {
			if err := k.fresh(ctx); err != nil {
				return err
			}
			awaited = true
			continue // the rows may tell another story now
		}
		settled, err := settle(ctx, undecided)
		if err != nil {
			return err
		}
		if found < limit || limit == deepest {
			return nil
		}
		if settled == 0 {
			if !deep {
				return nil
			}
			k.deep[step] = time.Now()
		}
		limit = min(2*limit, deepest)
	}
}

func limited(ctx context.Context, limit int, look look) (int, []decision, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	return look(ctx, limit)
}
