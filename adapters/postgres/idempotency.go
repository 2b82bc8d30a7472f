package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How long answers are kept, how long somebody may be at a request before
// another may take it over, and how many old answers each claim removes.
const (
	idempotencyKept  = 24 * time.Hour
	idempotencyLease = 60 * time.Second
	idempotencyPurge = 10
)

// KeyState is what a claim of an idempotency key came to.
type KeyState int

// The states of a claim.
const (
	KeyTaken    KeyState = iota + 1 // the key is the caller's now: act, then Finish or Abandon
	KeyAnswered                     // there is an answer: give it again
	KeyBusy                         // somebody is at it
	KeyOther                        // the key was used for another request
)

// Idempotency keeps the first answer to each request that names itself by a key,
// in the table idempotency. Times are those of the database, so nodes need not
// agree about the clock.
//
// A claim is held for 60 s. If its holder dies, the same request may take it over
// after that: what the holder did must not do harm when it is done again.
// Answers are forgotten after 24 h.
type Idempotency struct {
	pool *pgxpool.Pool
}

// NewIdempotency makes an Idempotency.
func NewIdempotency(pool *pgxpool.Pool) *Idempotency { return &Idempotency{pool: pool} }

// errClaimGone tells that a row was there and is not any more: claim again.
var errClaimGone = errors.New("the claim has ended meanwhile")

// Begin claims the key of an account for the request with that fingerprint. Of
// several callers at once exactly one gets KeyTaken, and the token that its
// claim is held under; with KeyAnswered comes the answer as Finish got it.
func (i *Idempotency) Begin(
	ctx context.Context, account, key string, fingerprint []byte,
) (state KeyState, token string, answer []byte, err error) {
	for {
		state, token, answer, err = i.begin(ctx, account, key, fingerprint)
		if errors.Is(err, errClaimGone) {
			continue // bounded by ctx: the other has ended between our two statements
		}
		if err != nil {
			return 0, "", nil, fmt.Errorf("postgres: claiming an idempotency key: %w", err)
		}
		return state, token, answer, nil
	}
}

func (i *Idempotency) begin(ctx context.Context, account, key string, fingerprint []byte) (KeyState, string, []byte, error) {
	token := newToken()
	// Old rows go a few at a time, faster than new ones come. In another order
	// than that of the claims they would wait for each other: skip what is locked.
	_, err := i.pool.Exec(ctx, `
		delete from idempotency where (account, key) in (
			select account, key from idempotency where created_at < now() - $1::interval
			order by created_at limit $2 for update skip locked)`, idempotencyKept, idempotencyPurge)
	if err != nil {
		return 0, "", nil, fmt.Errorf("removing old answers: %w", err)
	}
	tag, err := i.pool.Exec(ctx, `
		insert into idempotency as i (account, key, fingerprint, token, lease_until, created_at)
		values ($1, $2, $3, $4, now() + $5::interval, now())
		on conflict (account, key) do update set fingerprint = excluded.fingerprint, token = excluded.token,
			lease_until = excluded.lease_until, created_at = excluded.created_at, answer = null
		where i.created_at < now() - $6::interval
			or (i.answer is null and i.lease_until <= now() and i.fingerprint = excluded.fingerprint)`,
		account, key, fingerprint, token, idempotencyLease, idempotencyKept)
	if err != nil {
		return 0, "", nil, err
	}
	if tag.RowsAffected() == 1 {
		return KeyTaken, token, nil, nil
	}
	var known, answer []byte
	err = i.pool.QueryRow(ctx, "select fingerprint, answer from idempotency where account = $1 and key = $2", account, key).
		Scan(&known, &answer)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, "", nil, errClaimGone
	case err != nil:
		return 0, "", nil, err
	case !bytes.Equal(known, fingerprint):
		return KeyOther, "", nil, nil
	case answer == nil:
		return KeyBusy, "", nil, nil
	default:
		return KeyAnswered, "", answer, nil
	}
}

// Finish keeps the answer to a request whose claim was taken under token. It
// does nothing when somebody else has taken the claim over since. The caller
// seals what is secret.
func (i *Idempotency) Finish(ctx context.Context, account, key, token string, answer []byte) error {
	if answer == nil {
		answer = []byte{} // null means that somebody is at it
	}
	_, err := i.pool.Exec(ctx, `
		update idempotency set answer = $4 where account = $1 and key = $2 and token::text = $3 and answer is null`,
		account, key, token, answer)
	if err != nil {
		return fmt.Errorf("postgres: keeping the answer to an idempotent request: %w", err)
	}
	return nil
}

// Abandon gives a claim up that was taken under token, so that the request can
// be made again at once. It does nothing when the claim is another's by now, or
// answered.
func (i *Idempotency) Abandon(ctx context.Context, account, key, token string) error {
	_, err := i.pool.Exec(ctx, `
		delete from idempotency where account = $1 and key = $2 and token::text = $3 and answer is null`, account, key, token)
	if err != nil {
		return fmt.Errorf("postgres: giving an idempotency key back: %w", err)
	}
	return nil
}

// newToken makes a random UUID.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
