package projections

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// contactColumns are those that scanContact reads.
const contactColumns = `id, account, channel_id, ref, profile, created_at, updated_at`

// scanContact reads contactColumns, and what follows them into more.
func scanContact(row pgx.CollectableRow, c *domain.Contact, more ...any) error {
	var profile []byte
	err := row.Scan(append([]any{raw(&c.ID), &c.Account, &c.Channel, &c.Ref, &profile, &c.CreatedAt, &c.UpdatedAt}, more...)...)
	if err != nil {
		return fmt.Errorf("read a contact: %w", err)
	}
	if err := json.Unmarshal(profile, &c.Profile); err != nil {
		return fmt.Errorf("read the profile of contact %s: %w", c.ID, err)
	}
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return nil
}

// Contacts lists contacts, the newest first, and gives the cursor of the part
// that follows, "" at the end. A search may end a part early. A cursor that
// this list did not give is CodeInvalid.
func (r *Reads) Contacts(ctx context.Context, f domain.ContactFilter, p domain.Page) ([]domain.Contact, string, error) {
	size, q := pageSize(p), &query{}
	q.add("with listed as (select *, row_number() over (order by created_at desc, id desc) as scanned from contacts where account = ?", f.Account)
	if f.Channel != "" {
		q.add(" and channel_id = ?", f.Channel)
	}
	if p.After != "" {
		after, err := readPlace(contactList, p.After)
		if err != nil {
			return nil, "", err
		}
		q.add(" and (created_at, id) < (?, ?)", after.at, after.id)
	}
	q.add(" order by created_at desc, id desc")
	if f.Search == "" {
		q.add(fmt.Sprintf(" limit %d), matched as (select *, true as matches from listed)", size+1))
	} else {
		q.add(fmt.Sprintf(" limit %d), matched as (select *, (display_name collate search_text ilike ? or ref collate search_text ilike ?", searchScan), pattern(f.Search), pattern(f.Search))
		q.add(" or profile->>'phone' ilike ? or (profile->>'email') collate search_text ilike ?) is true as matches from listed)", pattern(f.Search), pattern(f.Search))
	}
	q.add(" select " + contactColumns + ", created_at, id, matches from matched")
	q.add(fmt.Sprintf(" where matches or scanned = %d order by created_at desc, id desc limit %d", searchScan, size+1))
	found, next, err := page(ctx, r.pool, q, size, contactList, scanContact)
	if err != nil {
		return nil, "", fmt.Errorf("list contacts: %w", err)
	}
	return found, next, nil
}

// Contact gives one contact; CodeNotFound when the account has none of that id.
func (r *Reads) Contact(ctx context.Context, account string, id uuid.UUID) (domain.Contact, error) {
	return one(ctx, r.pool, "contact", "select "+contactColumns+byID("contacts"), scanContact, raw(&id), account)
}
