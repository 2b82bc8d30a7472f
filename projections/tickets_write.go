package projections

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

const (
	upsertPeople = `insert into people as p (id, account, revision, name, email, phone, identifier, labels, created_at,
			last_activity_at, state)
		select id, account, revision, name, email, phone, identifier,
			array(select jsonb_array_elements_text(n.state->'labels')), created_at, last_activity_at, state
		from unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
				$8::timestamptz[], $9::timestamptz[], $10::jsonb[])
			n (id, account, revision, name, email, phone, identifier, created_at, last_activity_at, state)
		on conflict (id) do update set revision = excluded.revision, name = excluded.name, email = excluded.email,
			phone = excluded.phone, identifier = excluded.identifier, labels = excluded.labels,
			created_at = excluded.created_at, last_activity_at = excluded.last_activity_at, state = excluded.state`

	updateActive = `update people p set last_activity_at = n.at
		from unnest($1::bigint[], $2::timestamptz[]) n (id, at) where p.id = n.id`

	upsertIdentities = `insert into identities as i (id, account, channel_id, person_id, revision, source_id, verified,
			claimed, token_hash, created_at, updated_at)
		select * from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::boolean[],
			$8::boolean[], $9::text[], $10::timestamptz[], $11::timestamptz[])
		on conflict (id) do update set person_id = excluded.person_id, revision = excluded.revision,
			source_id = excluded.source_id, verified = excluded.verified, claimed = excluded.claimed, token_hash = excluded.token_hash,
			updated_at = excluded.updated_at`

	upsertTickets = `insert into tickets as t (id, account, number, channel_id, identity_id, revision, status, priority,
			assignee, team, labels, unread, waiting_since, created_at, updated_at, last_activity_at,
			last_post, last_said, last_public, state)
		select id, account, number, channel_id, identity_id, revision, status, priority,
			assignee, team, array(select jsonb_array_elements_text(n.state->'labels')), unread, waiting_since,
			created_at, updated_at, last_activity_at, last_post, last_said, last_public, state
		from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::int[],
				$9::bigint[], $10::bigint[], $11::int[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
				$15::timestamptz[], $16::bigint[], $17::bigint[], $18::bigint[], $19::jsonb[])
			n (id, account, number, channel_id, identity_id, revision, status, priority,
				assignee, team, unread, waiting_since, created_at, updated_at, last_activity_at,
				last_post, last_said, last_public, state)
		on conflict (id) do update set identity_id = excluded.identity_id, revision = excluded.revision,
			status = excluded.status, priority = excluded.priority, assignee = excluded.assignee, team = excluded.team,
			labels = excluded.labels, unread = excluded.unread, waiting_since = excluded.waiting_since,
			updated_at = excluded.updated_at, last_activity_at = excluded.last_activity_at,
			last_post = excluded.last_post, last_said = excluded.last_said, last_public = excluded.last_public,
			state = excluded.state`

	upsertPosts = `insert into posts as p (id, ticket, message, revision, type, private, status, source_id, key, file,
			created_at, state)
		select * from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::boolean[], $7::text[], $8::text[],
			$9::text[], $10::bigint[], $11::timestamptz[], $12::jsonb[])
		on conflict (id) do update set revision = excluded.revision, status = excluded.status,
			source_id = excluded.source_id, key = excluded.key, file = greatest(p.file, excluded.file), state = excluded.state`

	// What was merged or removed leaves its id behind, and nothing that was told of it.
	erasePeople = `update people set removed = true, name = '', email = '', phone = '', identifier = '', labels = '{}',
			last_activity_at = null, state = '{}'
		where id = any($1)`

	// theirTickets are all that were ever a person's.
	theirTickets = `(select t.id from tickets t join identities i on i.id = t.identity_id where i.person_id = any($1))`

	eraseContacts = `delete from contacts where id in (select contact_id from conversations where id in ` + theirTickets + `)`
	eraseMessages = `delete from messages where conversation_id in ` + theirTickets
	eraseThreads  = `delete from conversations where id in ` + theirTickets
	erasePosts    = `update posts set removed = true, source_id = '', key = '', state = '{}' where ticket in ` + theirTickets
	eraseTickets  = `update tickets set removed = true, labels = '{}', state = '{}' where id in ` + theirTickets

	eraseIdentities = `update identities set removed = true, source_id = '', token_hash = '' where person_id = any($1)`
)

// queueWrite writes what the run changed.
func (run *ticketRun) queueWrite(b *pgx.Batch) error {
	if run == nil {
		return nil
	}
	if err := run.writePeople(b); err != nil {
		return fmt.Errorf("encode people: %w", err)
	}
	run.writeIdentities(b)
	if err := run.writeTickets(b); err != nil {
		return fmt.Errorf("encode tickets: %w", err)
	}
	if err := run.writePosts(b); err != nil {
		return fmt.Errorf("encode posts: %w", err)
	}
	if len(run.merged) > 0 {
		b.Queue(erasePeople, run.merged)
	}
	return nil
}

// queueErase removes people with all that is theirs, after the run has been
// written. Nothing of the same transaction may be written from memory after it
// that was read before.
func (run *ticketRun) queueErase(b *pgx.Batch) {
	if run == nil || len(run.forgotten) == 0 {
		return
	}
	for _, sql := range []string{eraseContacts, eraseMessages, eraseThreads, erasePosts, eraseTickets, eraseIdentities, erasePeople} {
		b.Queue(sql, run.forgotten)
	}
}

func (run *ticketRun) writePeople(b *pgx.Batch) error {
	type row = *personRow
	told, wrote := []row{}, []row{}
	for id, p := range run.people {
		switch known := run.revisions.People[id]; {
		case known != nil && known.Removed && !p.told:
		case p.told:
			told = append(told, p)
		case p.wrote:
			wrote = append(wrote, p)
		}
	}
	byID := func(a, b row) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(told, byID)
	slices.SortFunc(wrote, byID)
	id := func(p row) int64 { return p.ID }
	active := func(p row) *time.Time { return p.active }
	if len(told) > 0 {
		states, err := encoded(told, func(p row) any { return p.Person })
		if err != nil {
			return err
		}
		b.Queue(upsertPeople,
			column(told, id),
			column(told, func(p row) string { return p.account }),
			column(told, func(p row) int32 { return int32(p.Revision) }),
			column(told, func(p row) string { return domain.Storable(p.Name) }),
			column(told, func(p row) string { return domain.Storable(p.Email) }),
			column(told, func(p row) string { return domain.Storable(p.Phone) }),
			column(told, func(p row) string { return domain.Storable(p.Identifier) }),
			column(told, func(p row) time.Time { return p.CreatedAt }),
			column(told, active),
			states)
	}
	if len(wrote) > 0 {
		b.Queue(updateActive, column(wrote, id), column(wrote, active))
	}
	return nil
}

func (run *ticketRun) writeIdentities(b *pgx.Batch) {
	type row = *identityRow
	rows := []row{}
	for _, i := range run.identities {
		if i.dirty {
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		return
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.ID, b.ID) })
	b.Queue(upsertIdentities,
		column(rows, func(i row) int64 { return i.ID }),
		column(rows, func(i row) string { return i.account }),
		column(rows, func(i row) string { return i.Channel }),
		column(rows, func(i row) int64 { return i.PersonID }),
		column(rows, func(i row) int32 { return int32(i.Revision) }),
		column(rows, func(i row) string { return domain.Storable(i.SourceID) }),
		column(rows, func(i row) bool { return i.Verified }),
		column(rows, func(i row) bool { return i.Claimed }),
		column(rows, func(i row) string { return i.TokenHash }),
		column(rows, func(i row) time.Time { return i.CreatedAt }),
		column(rows, func(i row) time.Time { return i.UpdatedAt }))
}

func (run *ticketRun) writeTickets(b *pgx.Batch) error {
	type row = *ticketRow
	rows := []row{}
	for _, t := range run.tickets {
		rows = append(rows, t)
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b row) int { return slices.Compare(a.ID[:], b.ID[:]) })
	states, err := encoded(rows, func(t row) any { return t.Ticket })
	if err != nil {
		return err
	}
	b.Queue(upsertTickets,
		column(rows, func(t row) [16]byte { return t.ID }),
		column(rows, func(t row) string { return t.account }),
		column(rows, func(t row) int64 { return t.Number }),
		column(rows, func(t row) string { return t.channel }),
		column(rows, func(t row) int64 { return t.IdentityID }),
		column(rows, func(t row) int32 { return int32(t.Revision) }),
		column(rows, func(t row) string { return string(t.Status) }),
		column(rows, func(t row) int32 { return int32(slices.Index(domain.TicketPriorities, t.Priority) + 1) }),
		column(rows, func(t row) int64 { return t.Assignee }),
		column(rows, func(t row) int64 { return t.Team }),
		column(rows, func(t row) int32 { return int32(t.Unread) }),
		column(rows, func(t row) *time.Time { return t.WaitingSince }),
		column(rows, func(t row) time.Time { return t.CreatedAt }),
		column(rows, func(t row) time.Time { return t.UpdatedAt }),
		column(rows, func(t row) time.Time { return t.LastActivityAt }),
		column(rows, func(t row) int64 { return t.LastPost }),
		column(rows, func(t row) int64 { return t.LastSaid }),
		column(rows, func(t row) int64 { return t.LastPublic }),
		states)
	return nil
}

func (run *ticketRun) writePosts(b *pgx.Batch) error {
	type row = *postRow
	rows := []row{}
	for _, p := range run.posts {
		if p.dirty {
			rows = append(rows, p)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.ID, b.ID) })
	states, err := encoded(rows, func(p row) any { return p.Post })
	if err != nil {
		return err
	}
	b.Queue(upsertPosts,
		column(rows, func(p row) int64 { return p.ID }),
		column(rows, func(p row) [16]byte { return p.Ticket }),
		column(rows, func(p row) [16]byte { return p.Message }),
		column(rows, func(p row) int32 { return int32(p.Revision) }),
		column(rows, func(p row) int32 { return int32(p.Type) }),
		column(rows, func(p row) bool { return p.Private }),
		column(rows, func(p row) string { return string(p.Status) }),
		column(rows, func(p row) string { return domain.Storable(p.SourceID) }),
		column(rows, func(p row) string { return domain.Storable(p.Key) }),
		column(rows, func(p row) int64 { return p.file }),
		column(rows, func(p row) time.Time { return p.CreatedAt }),
		states)
	return nil
}
