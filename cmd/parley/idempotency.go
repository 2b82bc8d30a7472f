package main

import (
	"context"

	"github.com/parley-im/parley/adapters/httpapi"
	"github.com/parley-im/parley/adapters/postgres"
)

// idempotency lets the platform API keep its answers in Postgres: two packages
// that know nothing of each other.
type idempotency struct{ *postgres.Idempotency }

// Begin claims a key.
func (i idempotency) Begin(ctx context.Context, account, key string, fingerprint []byte) (httpapi.Claim, error) {
	state, token, answer, err := i.Idempotency.Begin(ctx, account, key, fingerprint)
	if err != nil {
		return httpapi.Claim{}, err
	}
	states := map[postgres.KeyState]httpapi.ClaimState{
		postgres.KeyTaken: httpapi.ClaimTaken, postgres.KeyAnswered: httpapi.ClaimAnswered,
		postgres.KeyBusy: httpapi.ClaimBusy, postgres.KeyOther: httpapi.ClaimOther,
	}
	return httpapi.Claim{State: states[state], Token: token, Answer: answer}, nil
}
