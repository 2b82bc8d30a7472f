package projections

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-im/parley/domain"
)

// Bounds of lists.
const (
	defaultPage = 50
	largestPage = 1000
	// longestSearch is how much of a search text counts, in characters.
	longestSearch = 200
	// searchScan is how many rows one page of a search looks through at most. When
	// it is used up the page ends early, and its cursor goes on from there.
	searchScan = 20_000
)

// Reads answers questions from the read model of Conversations. Every question
// is bound to an account: what belongs to another is not found.
type Reads struct {
	pool *pgxpool.Pool
}

// NewReads makes Reads.
func NewReads(pool *pgxpool.Pool) *Reads { return &Reads{pool: pool} }

// pageSize bounds what a caller asked for.
func pageSize(p domain.Page) int {
	switch {
	case p.Limit <= 0:
		return defaultPage
	case p.Limit > largestPage:
		return largestPage
	default:
		return p.Limit
	}
}

// place is where a part of a list ended: the keys that the list is sorted by.
type place struct {
	at time.Time
	id uuid.UUID
}

// The lists, as they are named in cursors. The digit is the version of the
// cursor's form; one of another list or version is refused.
const (
	contactList      = "p1"
	conversationList = "c1"
	messageList      = "m1"
)

func (p place) cursor(list string) string {
	return encodeCursor(list, strconv.FormatInt(p.at.UnixMicro(), 10), p.id.String())
}

func readPlace(list, cursor string) (place, error) {
	keys, err := decodeCursor(list, cursor, 2)
	if err != nil {
		return place{}, err
	}
	micros, errAt := strconv.ParseInt(keys[0], 10, 64)
	id, errID := uuid.Parse(keys[1])
	if err := errors.Join(errAt, errID); err != nil {
		return place{}, badCursor(err)
	}
	at := time.UnixMicro(micros).UTC()
	if at.Year() < 1 || at.Year() > 9999 { // no list is of such a time, and the database may not know it
		return place{}, badCursor(nil)
	}
	return place{at: at, id: id}, nil
}

func encodeCursor(list string, keys ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + " " + strings.Join(keys, " ")))
}

func decodeCursor(list, cursor string, keys int) ([]string, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, badCursor(err)
	}
	words := strings.Split(string(text), " ")
	if len(words) != keys+1 || words[0] != list {
		return nil, badCursor(nil)
	}
	return words[1:], nil
}

func badCursor(cause error) error {
	return &domain.Error{Code: domain.CodeInvalid, Field: "cursor", Message: "is not one that this list gave", Err: cause}
}

// query is a statement under construction, with its parameters.
type query struct {
	sql  strings.Builder
	args []any
}

// add appends a piece of SQL in which each ? stands for the next of args.
func (q *query) add(sql string, args ...any) {
	for _, a := range args {
		q.args = append(q.args, a)
		sql = strings.Replace(sql, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.sql.WriteString(sql)
}

// pattern makes a search text a pattern of ILIKE that finds it literally.
func pattern(search string) string {
	search = strings.ReplaceAll(domain.Cut(search, longestSearch), "\x00", "")
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(search) + "%"
}

// page runs a list's statement, which asks for one row more than the page has.
// Each row ends with its sort keys and whether it belongs to the list; one
// that does not is where a search gave up for now.
func page[T any](
	ctx context.Context, pool *pgxpool.Pool, q *query, size int, list string, scan func(pgx.CollectableRow, *T, ...any) error,
) ([]T, string, error) {
	rows, err := pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	found, last := make([]T, 0, size), place{}
	for rows.Next() {
		var entry T
		var here place
		var matches bool
		if err := scan(rows, &entry, &here.at, raw(&here.id), &matches); err != nil {
			return nil, "", err
		}
		if !matches {
			return found, here.cursor(list), nil
		}
		if len(found) == size {
			return found, last.cursor(list), nil
		}
		found, last = append(found, entry), here
	}
	return found, "", rows.Err()
}

// byID finds the row of an id in a table and then asks whose it is: left to
// itself, a planner that knows nothing of the table yet may walk through all that
// the account has in another index.
func byID(table string) string {
	return " from (select * from " + table + " where id = $1 offset 0) found where account = $2"
}

// one runs a statement that gives one row or none.
func one[T any](ctx context.Context, pool *pgxpool.Pool, what, sql string, scan func(pgx.CollectableRow, *T, ...any) error, args ...any) (T, error) {
	var entry T
	rows, err := pool.Query(ctx, sql, args...)
	if err == nil {
		entry, err = pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (entry T, err error) {
			return entry, scan(row, &entry)
		})
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return entry, domain.Errorf(domain.CodeNotFound, "there is no such %s", what)
	}
	if err != nil {
		return entry, fmt.Errorf("read a %s: %w", what, err)
	}
	return entry, nil
}
