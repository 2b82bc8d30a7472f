package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTraffic_takeIn reads events as each dialect has them.
func TestTraffic_takeIn(t *testing.T) {
	t.Parallel()
	load := &traffic{prefix: "r00"}
	log := newLogRead()
	for _, line := range []string{
		`{"type":"message.received.v1","subject":"1/r00_c00","data":{"external_id":"a","content":{"type":"text","text":"a"}}}`,
		`{"type":"message.sent.v1","subject":"1/r00_c00","data":{"content":{"type":"text","text":"b"}}}`,
		`{"type":"message.received.v1","subject":"3/r00_c03","data":{"external_id":"x","content":{"text":"x"},"posted":{"targets":[""],"scene":{"ticket":{"revision":16}}}}}`,
		`{"type":"message.sent.v1","subject":"3/r00_c03","data":{"content":{"text":"void"},"posted":{"targets":[""],"scene":{"ticket":{"revision":16}}}}}`,
		`{"type":"message.sent.v1","subject":"3/r00_c03","data":{"content":{"text":"y"},"posted":{"targets":[""],"scene":{"ticket":{"revision":32}}}}}`,
		`{"type":"message.changed.v1","subject":"3/r00_c03","data":{"posted":{"targets":[""],"scene":{"ticket":{"revision":32}}}}}`,
	} {
		var event logged
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		load.takeIn(event, event.Subject[2:], log)
	}
	assert.Equal(t, history{"r00_c00": {"a", "b"}, "r00_c03": {"x", "y"}}, log.all)
	assert.Equal(t, history{"r00_c00": {"b"}, "r00_c03": {"y"}}, log.out)
	assert.Equal(t, history{"r00_c00": {"b"}, "r00_c03": {"x", "y"}}, log.told, "what a contact wrote is told only where the event says so")
	assert.Empty(t, load.failed)
}
