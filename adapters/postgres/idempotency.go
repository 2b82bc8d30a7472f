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

const (
	// claimLease is how long a claim is held for a process that may have died.
	claimLease = 60 * time.Second
	// keyLife is how long an answer is kept.
	keyLife = 24 * time.Hour
	// purgeStep is how many old keys one claim removes on its way.
	purgeStep = 20
)

// KeyState is what a claim of a key came to.
type KeyState int

// The states of a key.
const (
	KeyTaken    KeyState = iota + 1 // it is the caller's now: act, then Finish or Abandon
	KeyAnswered                     // there is an answer
	KeyBusy                         // somebody is at it
	KeyOther                        // it was used for another request
)

// Idempotency keeps the first answer to a request under the key that its sender
// gave it, for 24 hours, in the table idempotency_keys. A unique row decides who
// is first, not a look before the write.
type Idempotency struct {
	pool *pgxpool.Pool
}

// NewIdempotency makes an Idempotency over a migrated database.
func NewIdempotency(pool *pgxpool.Pool) *Idempotency { return &Idempotency{pool: pool} }

// Begin claims a key of an account for the request that fingerprint tells. On
// KeyTaken, token names the claim; on KeyAnswered, answer is what Finish kept. A
// claim whose holder died is free after a minute.
func (i *Idempotency) Begin(ctx context.Context, account, key string, fingerprint []byte) (state KeyState, token string, answer []byte, err error) {
	err = pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			delete from idempotency_keys where (account, key) in (
				select account, key from idempotency_keys where created_at < now() - $1::interval
				order by created_at limit $2 for update skip locked)`, keyLife, purgeStep); err != nil {
			return fmt.Errorf("purge: %w", err)
		}
		state, token, answer, err = claim(ctx, tx, account, key, fingerprint)
		return err
	})
	if err != nil {
		return 0, "", nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	return state, token, answer, nil
}

func claim(ctx context.Context, tx pgx.Tx, account, key string, fingerprint []byte) (KeyState, string, []byte, error) {
	token := rand.Text()
	tag, err := tx.Exec(ctx, `
		insert into idempotency_keys (account, key, fingerprint, token, leased_until)
		values ($1, $2, $3, $4, now() + $5::interval)
		on conflict (account, key) do update set
			token = excluded.token, leased_until = excluded.leased_until
		where idempotency_keys.answer is null and idempotency_keys.leased_until < now()
			and idempotency_keys.fingerprint = excluded.fingerprint`,
		account, key, fingerprint, token, claimLease)
	if err != nil {
		return 0, "", nil, err
	}
	if tag.RowsAffected() == 1 {
		return KeyTaken, token, nil, nil
	}
	var known, answer []byte
	err = tx.QueryRow(ctx, `select fingerprint, answer from idempotency_keys where account = $1 and key = $2`, account, key).Scan(&known, &answer)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return KeyBusy, "", nil, nil // given up between the two statements
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

// Finish keeps the answer under a claim; nothing happens when the claim has been
// taken over.
func (i *Idempotency) Finish(ctx context.Context, account, key, token string, answer []byte) error {
	_, err := i.pool.Exec(ctx, `update idempotency_keys set answer = $4 where account = $1 and key = $2 and token = $3`, account, key, token, answer)
	if err != nil {
		return fmt.Errorf("keep the answer to an idempotency key: %w", err)
	}
	return nil
}

// Abandon frees a key whose request came to nothing.
func (i *Idempotency) Abandon(ctx context.Context, account, key, token string) error {
	_, err := i.pool.Exec(ctx, `delete from idempotency_keys where account = $1 and key = $2 and token = $3 and answer is null`, account, key, token)
	if err != nil {
		return fmt.Errorf("free an idempotency key: %w", err)
	}
	return nil
}
