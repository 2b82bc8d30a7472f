package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/parley-im/parley/domain"
)

func TestVoices_heard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		voice  voice
		header http.Header
		body   string
		want   heard
	}{
		{
			"respond.io", respondIO{}, http.Header{"Idempotency-Key": {"k1"}},
			`{"channelId":"1","contactId":"r00_c00","message":{"type":"text","text":"r00_c00-00002"}}`, heard{"r00_c00", "r00_c00-00002", "k1"},
		},
		{
			"Voximplant Kit", &kit{}, nil,
			`{"client_data":{"client_id":"r00_c01"},"event_id":"e1","event_type":"send_message","event_data":{"message":{"message_id":"m1","text":"r00_c01-00002","payload":[]}}}`,
			heard{"r00_c01", "r00_c01-00002", "e1"},
		},
		{
			"ChannelX", &channelX{}, http.Header{"X-Chatwoot-Delivery": {"d1"}},
			`{"event":"message_created","content":"r00_c03-00000","conversation":{"id":7,"contact_inbox":{"source_id":"r00_c03"}}}`, heard{"r00_c03", "r00_c03-00000", "d1"},
		},
		{
			"ChannelX, of something else", &channelX{}, http.Header{"X-Chatwoot-Delivery": {"d2"}},
			`{"event":"conversation_created","id":7,"contact_inbox":{"source_id":"r00_c03"}}`, heard{"r00_c03", "", "d2"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.voice.heard(tt.header, []byte(tt.body))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			_, err = tt.voice.heard(nil, []byte(tt.body[1:]))
			require.Error(t, err)
		})
	}
}

func TestChannel_of(t *testing.T) {
	t.Parallel()
	ch := channel{dialect: domain.DialectRespondIO}
	assert.Equal(t, domain.DialectRespondIO, ch.of(1).dialect, "alone")
	ch.beside = []channel{{dialect: domain.DialectVoximplant}, {dialect: domain.DialectChannelX}}
	got := map[domain.Dialect]int{}
	for c := range contacts {
		got[ch.of(c).dialect]++
	}
	assert.Equal(t, map[domain.Dialect]int{domain.DialectRespondIO: 6, domain.DialectVoximplant: 3, domain.DialectChannelX: 3}, got)
}

func TestTraffic_next(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	late := at.Add(3 * time.Second)
	assert.Equal(t, late.Add(time.Second), (&traffic{pause: time.Second}).next(at, late), "a second after the answer")
	assert.Equal(t, at.Add(time.Second), (&traffic{pause: time.Second, steady: true}).next(at, late), "a second after the post before")
}
