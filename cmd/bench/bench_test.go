package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		values []float64
		p      float64
		want   float64
	}{
		{"of none", nil, 50, 0},
		{"of one", []float64{7}, 99, 7},
		{"middle of four", []float64{4, 1, 3, 2}, 50, 2},
		{"99th of a hundred", hundred(), 99, 99},
		{"all of a hundred", hundred(), 100, 100},
		{"none of a hundred", hundred(), 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.InDelta(t, tt.want, percentile(tt.values, tt.p), 0)
		})
	}
}

func hundred() []float64 {
	list := make([]float64, 100)
	for i := range list {
		list[i] = float64(100 - i)
	}
	return list
}

func TestMedian(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 0, median(nil), 0)
	assert.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	assert.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 0)
}

func TestTable_holdsEachRoundAgainstItsOwnCeiling(t *testing.T) {
	t.Parallel()
	var r report
	r.add(Figure{Group: "ingest", Name: "accepted", Unit: "1/s", Rounds: []float64{80, 10, 900}, Ceiling: "handler", CeilingRounds: []float64{100, 100, 1000}, Aim: 0.8})
	r.add(Figure{Group: "ring", Name: "cost", Unit: "CPU-ms", Rounds: []float64{0.5}, Less: true, AimValue: 0.4})
	r.add(Figure{Group: "ring", Name: "p50", Unit: "ms", Rounds: []float64{12}})

	assert.InDelta(t, 0.8, r.Figures[0].Ratio, 1e-9, "the medians alone would give 80 of 100 as well, but 0.1 and 0.9 are the other rounds")
	assert.True(t, *r.Figures[0].Met)
	assert.False(t, *r.Figures[1].Met)
	assert.Nil(t, r.Figures[2].Met)

	var out bytes.Buffer
	require.NoError(t, r.print(&out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 6)
	assert.Regexp(t, `^ingest +accepted +80\.0/s +handler +100/s +0\.80 +≥ 0\.80 +met *$`, lines[3])
	assert.Regexp(t, `^ring +cost +0\.500 CPU-ms +≤ 0\.400 CPU-ms +missed *$`, lines[4])
}

func TestReadStat(t *testing.T) {
	t.Parallel()
	pid, parent, ticks, ok := readStat("42 (a ) strange (name) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 5 0 99\n")
	require.True(t, ok)
	assert.Equal(t, []int{42, 7, 127}, []int{pid, parent, ticks})
	pid, _, _, ok = readStat("42 (half")
	assert.False(t, ok, "read as %d", pid)
}

func TestRequests_areWhatAServerReads(t *testing.T) {
	t.Parallel()
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if !assert.NoError(t, err) || !assert.True(t, json.Valid(body), "%s", body) {
			return
		}
		bodies = append(bodies, r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body))
		w.Header().Set("Parley-Position", "3:14")
		w.Write([]byte("{}"))
	}))
	defer server.Close()
	c, err := dial(t.Context(), server.Listener.Addr().String(), 10*time.Second)
	require.NoError(t, err)
	defer c.net.Close()

	ch := channel{ID: "620418000017", Token: "secret"}
	c.post(ch, 12, 345)
	status, err := c.send()
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "3:14", string(c.position))
	c.reply(ch, 12, 346)
	_, err = c.send()
	require.NoError(t, err)

	require.Len(t, bodies, 2)
	assert.Contains(t, bodies[0], `/custom/channel/webhook/ Bearer secret {"channelId":"620418000017","contactId":"c0000012"`)
	assert.Equal(t, 345, numberOf([]byte(bodies[0])))
	assert.Equal(t, 346, numberOf([]byte(bodies[1])))
	assert.InDelta(t, 600, len(bodies[0]), 60)
}

func TestReceiver_notesEachMessageOnce(t *testing.T) {
	t.Parallel()
	r, err := listen(t.Context())
	require.NoError(t, err)
	defer r.close()
	came := r.expect(10, 3)
	client := &http.Client{Timeout: 10 * time.Second}
	for _, n := range []int{11, 10, 11, 12, 13} {
		require.NoError(t, postOnce(t.Context(), client, r.url()+"/message", n))
	}
	require.NoError(t, came.wait(t.Context(), 3, 10*time.Second))
	assert.EqualValues(t, 3, came.count.Load())
	assert.EqualValues(t, 1, came.repeated.Load())
	client.CloseIdleConnections()
}

// A stall of the server counts for every request that came due in it.
func TestLoad_countsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	r, err := listen(t.Context())
	require.NoError(t, err)
	defer r.close()
	stalled := false
	const stall = 200 * time.Millisecond
	out, err := load(t.Context(), r.listener.Addr().String(), 1, 100, 400*time.Millisecond, func(_ *conn, _ int, _ time.Time) error {
		if !stalled {
			stalled = true
			return pause(t.Context(), stall)
		}
		return nil
	})
	require.NoError(t, err)
	late := 0
	for _, s := range out.samples {
		if s.latency > stall/4 {
			late++
		}
	}
	assert.Greater(t, late, 5, "some 15 requests came due while the only connection was busy")
}
