package main

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// judged gives the result of a round of one contact, whose posts were all accepted
// in this order.
func judged(t *testing.T, log, rows []string, calls []landed, struck ...strike) Result {
	t.Helper()
	r := &run{}
	traffic := &traffic{stand: &stand{run: r}, prefix: "r00", struck: struck}
	for _, text := range []string{"a", "b", "c"} {
		traffic.posts = append(traffic.posts, &said{contact: "r00_c00", text: text, fate: accepted})
	}
	traffic.checkOrder(history{"r00_c00": log}, history{"r00_c00": rows}, calls)
	traffic.checkRepeats(calls)
	return r.result
}

// told is a call that was taken, that began at a second of the round.
func told(text string, second int) landed {
	at := time.Unix(int64(1000+second), 0)
	return landed{heard: heard{"r00_c00", text, "id-" + text}, body: sha256.Sum256([]byte(text)), began: at, ended: at.Add(time.Millisecond), taken: true}
}

func TestOracle(t *testing.T) {
	t.Parallel()
	abc := []string{"a", "b", "c"}
	broken := strike{from: time.Unix(1002, 0), to: time.Unix(1003, 0)}
	other := told("b", 3)
	other.id = "id-other"
	for _, tt := range []struct {
		name                  string
		log, rows             []string
		calls                 []landed
		struck                []strike
		reordered, duplicated int
		problem               string
	}{
		{"all is well", abc, abc, []landed{told("a", 1), told("b", 2), told("c", 3)}, nil, 0, 0, ""},
		{"the log has another order than the senders", []string{"b", "a", "c"}, []string{"b", "a", "c"}, nil, nil, 1, 0, "b was accepted"},
		{"the rows have another order than the log", abc, []string{"a", "c", "b"}, nil, nil, 1, 0, "stands in the rows"},
		{"a call overtakes another", abc, abc, []landed{told("a", 1), told("c", 2), told("b", 3)}, nil, 1, 0, "b was told after c"},
		{"a call is repeated that was in flight", abc, abc, []landed{told("a", 1), told("b", 2), told("b", 4), told("c", 5)}, []strike{broken}, 0, 1, ""},
		{"a call is repeated and nothing was broken", abc, abc, []landed{told("a", 1), told("b", 2), told("b", 4)}, nil, 0, 1, "nothing was broken"},
		{
			"a call is repeated that had been made long before",
			abc, abc,
			[]landed{told("a", -60), told("a", 4)},
			[]strike{broken}, 0, 1, "nothing was broken then",
		},
		{"a repeat goes further back than one", abc, abc, []landed{told("a", 1), told("b", 2), told("a", 4)}, []strike{broken}, 1, 1, "a was told after b"},
		{"a repeat has another id", abc, abc, []landed{told("b", 2), other}, []strike{broken}, 0, 1, "another id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := judged(t, tt.log, tt.rows, tt.calls, tt.struck...)
			assert.Equal(t, tt.reordered, got.Reordered, "reordered")
			assert.Equal(t, tt.duplicated, got.Duplicated, "duplicated")
			if tt.problem == "" {
				assert.Empty(t, got.Problems)
			} else {
				assert.Contains(t, strings.Join(got.Problems, "\n"), tt.problem)
			}
		})
	}
}

func TestHistory_without(t *testing.T) {
	t.Parallel()
	log, rows := history{}, history{}
	for _, text := range []string{"a", "b", "b", "c"} {
		log.add("r00_c00", text)
	}
	rows.add("r00_c00", "b")
	assert.Equal(t, []string{"a", "b", "c"}, log["r00_c00"])
	assert.Equal(t, []string{"a", "c"}, log.without(rows))
	assert.Empty(t, rows.without(log))
}

func TestResult_passes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		r    Result
		want string
	}{
		{"a round without a finding", Result{Rounds: 1, Duplicated: 2}, "pass"},
		{"no round at all", Result{}, "FAIL"},
		{"a lost message", Result{Rounds: 1, Lost: 1}, "FAIL"},
		{"an inversion", Result{Rounds: 1, Reordered: 1}, "FAIL"},
		{"a problem in words", Result{Rounds: 1, Problems: []string{"told again"}}, "FAIL"},
		{"what this machine cannot do", Result{NotRun: "it takes root"}, "not run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.r.judge()
			assert.Equal(t, tt.want, tt.r.verdict())
		})
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	got, err := between("before\n"+markBegin+"old\n"+markEnd+"after\n", "new\n")
	require.NoError(t, err)
	assert.Equal(t, "before\n"+markBegin+"new\n"+markEnd+"after\n", got)
	_, err = between("no marks", "new\n")
	require.Error(t, err)
}
