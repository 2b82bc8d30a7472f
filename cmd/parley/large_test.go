package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestLargestWebhook: a body near the limit of 1 MiB is one batch of the log,
// larger than a fetch asks for, and comes out whole on the other side.
func TestLargestWebhook(t *testing.T) {
	t.Parallel()
	p := startParley(t)
	ch := p.channel(`{"dialect":"respondio","name":"Large","id_type":"custom","callback_url":"http://127.0.0.1:9"}`)
	text := strings.Repeat("😀", 7000) // 28,000 bytes
	const events = 36
	var body strings.Builder
	fmt.Fprintf(&body, `{"channelId":%q,"contactId":"c1","events":[`, ch.ID)
	for i := range events {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"type":"message","mId":"m-%02d","timestamp":1767261600000,"message":{"type":"text","text":"%s"}}`, i, text)
	}
	body.WriteString("]}")
	if n := body.Len(); n > 1<<20 || n < 1_000_000 {
		t.Fatalf("the body has %d bytes", n)
	}
	if status, _, raw := p.do(http.MethodPost, "/custom/channel/webhook/", ch.APIToken, body.String()); status != http.StatusOK {
		t.Fatalf("%d %s", status, raw)
	}
	var list struct {
		Data []struct {
			ID    string `json:"id"`
			Count int    `json:"message_count"`
		} `json:"data"`
	}
	eventually(t, 30*time.Second, "all messages", func() bool {
		_, _, raw := p.do(http.MethodGet, "/v1/conversations?channel="+ch.ID, p.Token, "")
		return json.Unmarshal(raw, &list) == nil && len(list.Data) == 1 && list.Data[0].Count == events
	})
	_, _, raw := p.do(http.MethodGet, "/v1/conversations/"+list.Data[0].ID+"/messages", p.Token, "")
	var messages struct {
		Data []struct {
			ExternalID string `json:"external_id"`
			Text       string `json:"text"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &messages); err != nil || len(messages.Data) != events {
		t.Fatalf("%d messages: %v", len(messages.Data), err)
	}
	for i, m := range messages.Data {
		if m.ExternalID != fmt.Sprintf("m-%02d", i) || m.Text != text {
			t.Errorf("message %d is %s with %d bytes", i, m.ExternalID, len(m.Text))
		}
	}
}
