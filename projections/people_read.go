package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

const (
	personColumns = `p.state, p.last_activity_at`

	identityColumns = `i.id, i.channel_id, i.person_id, i.revision, i.source_id, i.verified, i.claimed, i.token_hash, i.created_at, i.updated_at`
)

func scanPerson(row pgx.CollectableRow, p *domain.PersonSeen, more ...any) error {
	var state []byte
	if err := row.Scan(append([]any{&state, &p.LastActivityAt}, more...)...); err != nil {
		return fmt.Errorf("read a person: %w", err)
	}
	p.LastActivityAt = utc(p.LastActivityAt)
	if err := json.Unmarshal(state, &p.Person); err != nil {
		return fmt.Errorf("read what is known of a person: %w", err)
	}
	return nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

func identityFields(i *domain.Identity) []any {
	return []any{&i.ID, &i.Channel, &i.PersonID, &i.Revision, &i.SourceID, &i.Verified, &i.Claimed, &i.TokenHash, &i.CreatedAt, &i.UpdatedAt}
}

func scanIdentity(row pgx.CollectableRow, i *domain.Identity, more ...any) error {
	if err := row.Scan(append(identityFields(i), more...)...); err != nil {
		return fmt.Errorf("read an identity: %w", err)
	}
	i.CreatedAt, i.UpdatedAt = i.CreatedAt.UTC(), i.UpdatedAt.UTC()
	return nil
}

// Person gives a person with their identities; CodeNotFound when the account has none of that id.
func (r *Reads) Person(ctx context.Context, account string, id int64) (domain.PersonSeen, error) {
	return r.person(ctx, "select "+personColumns+" from (select * from people where id = $1 offset 0) p where p.account = $2 and not p.removed",
		id, account)
}

// PersonBy finds the one whom the first field of the key that is set names, with
// their identities; CodeNotFound when there is none, or no field is set.
func (r *Reads) PersonBy(ctx context.Context, account string, key domain.PersonKey) (domain.PersonSeen, error) {
	var column, value string
	switch {
	case key.Identifier != "":
		column, value = "identifier", key.Identifier
	case key.Email != "":
		column, value = "email", key.Email
	case key.Phone != "":
		column, value = "phone", key.Phone
	default:
		return domain.PersonSeen{}, domain.Errorf(domain.CodeNotFound, "there is no such person")
	}
	compare := "p." + column + " = $2"
	if column == "email" {
		compare = "p.email = lower($2)"
	}
	return r.person(ctx, "select "+personColumns+" from people p where p.account = $1 and "+byHash("p."+column, lowered(column))+
		" and "+compare+" and not p.removed order by p.id limit 1", account, domain.Storable(value))
}

// lowered gives the second parameter of a look-up, as the column holds it.
func lowered(column string) string {
	if column == "email" {
		return "lower($2)"
	}
	return "$2"
}

// byHash finds a text by the index on its hash; the text itself is compared, too.
func byHash(column, value string) string {
	return column + " <> '' and hashtextextended(" + column + ", 0) = hashtextextended(" + value + ` collate "C", 0)`
}

func (r *Reads) person(ctx context.Context, sql string, args ...any) (domain.PersonSeen, error) {
	p, err := one(ctx, r.pool, "person", sql, scanPerson, args...)
	if err != nil {
		return p, err
	}
	people := []domain.PersonSeen{p}
	if err := r.identify(ctx, people); err != nil {
		return p, err
	}
	return people[0], nil
}

// identify adds the identities of people, oldest first.
func (r *Reads) identify(ctx context.Context, people []domain.PersonSeen) error {
	if len(people) == 0 {
		return nil
	}
	places := make(map[int64]int, len(people))
	ids := make([]int64, len(people))
	for n, p := range people {
		ids[n], places[p.ID] = p.ID, n
	}
	rows, err := r.pool.Query(ctx, "select "+identityColumns+` from unnest($1::bigint[]) k (id) cross join lateral (
		select * from identities where person_id = k.id and not removed offset 0) i order by i.id`, ids)
	if err != nil {
		return fmt.Errorf("read identities: %w", err)
	}
	found, err := collected(rows, scanIdentity)
	if err != nil {
		return fmt.Errorf("read identities: %w", err)
	}
	for _, i := range found {
		n := places[i.PersonID]
		people[n].Identities = append(people[n].Identities, i)
	}
	return nil
}

// collected reads all rows.
func collected[T any](rows pgx.Rows, scan func(pgx.CollectableRow, *T, ...any) error) ([]T, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (entry T, err error) {
		return entry, scan(row, &entry)
	})
}

// Identity finds an identity by its source id in a channel; CodeNotFound where there is none.
func (r *Reads) Identity(ctx context.Context, channel, sourceID string) (domain.Identity, error) {
	return one(ctx, r.pool, "identity", "select "+identityColumns+` from identities i
		where i.channel_id = $1 and hashtextextended(i.source_id, 0) = hashtextextended($2 collate "C", 0) and i.source_id = $2
			and not i.removed
		order by i.id limit 1`, scanIdentity, channel, domain.Storable(sourceID))
}

// IdentitiesBySource finds those of an account by source id alone, oldest first.
func (r *Reads) IdentitiesBySource(ctx context.Context, account, sourceID string) ([]domain.Identity, error) {
	rows, err := r.pool.Query(ctx, "select "+identityColumns+` from identities i
		where i.account = $1 and hashtextextended(i.source_id, 0) = hashtextextended($2 collate "C", 0) and i.source_id = $2
			and not i.removed
		order by i.id`, account, domain.Storable(sourceID))
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	found, err := collected(rows, scanIdentity)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	return found, nil
}

// IdentityByToken finds the one that a token listens to, its person and its
// account, by the token's SHA-256 in hex; CodeNotFound where there is none.
func (r *Reads) IdentityByToken(ctx context.Context, hash string) (domain.Identity, domain.Person, string, error) {
	type listener struct {
		identity domain.Identity
		person   domain.PersonSeen
		account  string
	}
	l, err := one(ctx, r.pool, "identity", "select "+personColumns+", i.account, "+identityColumns+` from identities i
			join people p on p.id = i.person_id
		where hashtextextended(i.token_hash, 0) = hashtextextended($1 collate "C", 0) and i.token_hash = $1 and i.token_hash <> ''
			and not i.removed and not p.removed
		order by i.id limit 1`, func(row pgx.CollectableRow, l *listener, _ ...any) error {
		return scanPerson(row, &l.person, append([]any{&l.account}, identityFields(&l.identity)...)...)
	}, hash)
	l.identity.CreatedAt, l.identity.UpdatedAt = l.identity.CreatedAt.UTC(), l.identity.UpdatedAt.UTC()
	return l.identity, l.person.Person, l.account, err
}

// IdentityByID gives an identity; CodeNotFound where there is none.
func (r *Reads) IdentityByID(ctx context.Context, id int64) (domain.Identity, error) {
	return one(ctx, r.pool, "identity", "select "+identityColumns+" from identities i where i.id = $1 and not i.removed", scanIdentity, id)
}

// personOrders are what a list of people is sorted by.
var personOrders = map[string]string{
	"name":             "lower(p.name collate search_text)",
	"email":            "nullif(p.email, '')",
	"phone_number":     "nullif(p.phone, '')",
	"last_activity_at": "p.last_activity_at",
	"created_at":       "p.created_at",
	"company_name":     "p.state->'additional_attributes'->>'company_name'",
	"city":             "p.state->'additional_attributes'->>'city'",
	"country":          "p.state->'additional_attributes'->>'country'",
}

// Persons lists a part of an account's people, and tells how many there are in
// all. A sort that is not known, and a condition that cannot be, is CodeInvalid.
func (r *Reads) Persons(ctx context.Context, asked domain.PersonQuery) ([]domain.PersonSeen, int64, error) {
	where := &query{}
	where.add(" from people p where p.account = ? and not p.removed", asked.Account)
	if asked.ListedOnly {
		where.add(" and (p.email <> '' or p.phone <> '' or p.identifier <> '')")
	}
	if asked.Search != "" {
		like := pattern(asked.Search)
		where.add(` and (p.name collate search_text ilike ? or p.email collate search_text ilike ? or p.phone ilike ? or p.identifier like ?)`,
			like, like, like, like)
	}
	if len(asked.Labels) > 0 {
		where.add(" and p.labels && ?::text[]", asked.Labels)
	}
	if err := where.conditions(asked.Conditions, personKeys); err != nil {
		return nil, 0, err
	}
	order := "p.created_at desc, p.id desc"
	if asked.Sort != "" {
		by, ok := personOrders[asked.Sort]
		if !ok {
			return nil, 0, domain.Invalid("sort", "is not known")
		}
		direction := " asc"
		if asked.Descending {
			direction = " desc"
		}
		order = by + direction + " nulls last, p.id" + direction
	}
	var count int64
	var found []domain.PersonSeen
	b := &pgx.Batch{}
	b.Queue("select count(*)"+where.sql.String(), where.args...).QueryRow(func(row pgx.Row) error { return row.Scan(&count) })
	b.Queue("select "+personColumns+where.sql.String()+fmt.Sprintf(" order by %s limit %d offset %d", order, part(asked.Limit), max(asked.Offset, 0)),
		where.args...).Query(func(rows pgx.Rows) (err error) {
		found, err = collected(rows, scanPerson)
		return err
	})
	if err := r.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, 0, fmt.Errorf("list people: %w", err)
	}
	if !asked.WithIdentities {
		return found, count, nil
	}
	return found, count, r.identify(ctx, found)
}

// part bounds the part of a list that a caller asked for.
func part(limit int) int {
	if limit <= 0 || limit > largestPage {
		return largestPage
	}
	return limit
}
