package projections

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// column makes one array parameter of a set-based statement.
func column[T, V any](rows []T, of func(T) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = of(r)
	}
	return values
}

// encoded makes a parameter of JSON values.
func encoded[T any](rows []T, of func(T) any) ([]json.RawMessage, error) {
	values := make([]json.RawMessage, len(rows))
	for i, r := range rows {
		value, err := stateOf(of(r))
		if err != nil {
			return nil, err
		}
		values[i] = value
	}
	return values, nil
}

func sorted(ids map[uuid.UUID]struct{}) []uuid.UUID {
	return slices.SortedFunc(maps.Keys(ids), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

// keysOf gives sorted ids as a parameter.
func keysOf(ids map[uuid.UUID]struct{}) [][16]byte {
	return column(sorted(ids), func(id uuid.UUID) [16]byte { return id })
}

// pairsOf gives external keys as two parameters of the same length.
func pairsOf(keys map[domain.ExternalKey]struct{}) (conversations [][16]byte, externals []string) {
	for k := range keys {
		conversations = append(conversations, k.Conversation)
		externals = append(externals, k.ExternalID)
	}
	return conversations, externals
}
