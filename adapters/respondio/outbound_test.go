package respondio

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// The table of section 4.1, and what else an operator may have entered.
func TestMessageURL(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://srv.example.org":              "https://srv.example.org/message",
		"https://srv.example.org/":             "https://srv.example.org/message",
		"https://srv.example.org/respond":      "https://srv.example.org/respond/message",
		"https://srv.example.org/respond//":    "https://srv.example.org/respond/message",
		"https://srv.example.org/620418":       "https://srv.example.org/620418/message",
		"https://srv.example.org/message":      "https://srv.example.org/message",
		"https://srv.example.org/message/":     "https://srv.example.org/message",
		"https://srv.example.org/x/message":    "https://srv.example.org/x/message",
		"https://srv.example.org/xmessage":     "https://srv.example.org/xmessage/message",
		"https://srv.example.org/hook?x=1":     "https://srv.example.org/hook/message?x=1",
		"https://srv.example.org?x=%2F1":       "https://srv.example.org/message?x=%2F1",
		"https://srv.example.org/a%2Fb/c%20d":  "https://srv.example.org/a%2Fb/c%20d/message",
		"https://srv.example.org/a#top":        "https://srv.example.org/a/message",
		"http://127.0.0.1:9000":                "http://127.0.0.1:9000/message",
		"https://srv.example.org/message?x=/a": "https://srv.example.org/message?x=/a",
	} {
		if got, err := messageURL(base); err != nil || got != want {
			t.Errorf("%s gives %s, %v; want %s", base, got, err, want)
		}
	}
	if _, err := messageURL("https://srv.example.org/%zz"); err == nil {
		t.Error("a URL that is none")
	}
}

func delivery(c domain.Content) domain.Delivery {
	return domain.Delivery{
		ID: uuid.New(), Channel: "620418", ContactRef: "+351912345678", Content: c,
		MessageID: uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
	}
}

func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	call, err := Outbound{}.Request(phoneChannel(), delivery(domain.Content{Type: domain.ContentText, Text: "hi"}))
	if err != nil {
		t.Fatal(err)
	}
	want := []domain.Header{
		{Name: "Authorization", Value: "Bearer TP"},
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Cache-Control", Value: "no-cache"},
		{Name: "Idempotency-Key", Value: "6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
	}
	if diff := cmp.Diff(want, call.Headers); diff != "" || call.Method != http.MethodPost || call.URL != "https://srv.example.org/message" {
		t.Errorf("%s %s\n%s", call.Method, call.URL, diff)
	}
}

// The bodies are the samples of section 4.1, byte for byte.
func TestRequestBody(t *testing.T) {
	t.Parallel()
	number := func(f float64) *float64 { return &f }
	for name, c := range map[string]struct {
		content domain.Content
		want    string
	}{
		"text": {
			domain.Content{Type: domain.ContentText, Text: "We open <again> & \"soon\"\n😀", Title: "not of a text"},
			`{"type":"text","text":"We open <again> & \"soon\"\n😀"}`,
		},
		"image": {
			domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{
				Type: "image", URL: "https://files.example.org/a.png?x=1&y=2", MimeType: "image/png", FileName: "a.png", Description: "Receipt",
			}},
			`{"type":"attachment","attachment":{"type":"image","url":"https://files.example.org/a.png?x=1&y=2","mimeType":"image/png","fileName":"a.png","description":"Receipt"}}`,
		},
		"file, its description left out, and what is not set": {
			domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{
				Type: "file", URL: "https://files.example.org/q/inv-88.pdf", Description: "Invoice",
			}},
			`{"type":"attachment","attachment":{"type":"file","url":"https://files.example.org/q/inv-88.pdf"}}`,
		},
		"location": {
			domain.Content{Type: domain.ContentLocation, Latitude: number(41.1579), Longitude: number(-8.6291), Address: "Praça da Liberdade, Porto"},
			`{"type":"location","latitude":41.1579,"longitude":-8.6291,"longtitude":-8.6291,"address":"Praça da Liberdade, Porto"}`,
		},
		"location zero": {
			domain.Content{Type: domain.ContentLocation, Latitude: number(0), Longitude: number(0)},
			`{"type":"location","latitude":0,"longitude":0,"longtitude":0}`,
		},
		"quick reply": {
			domain.Content{Type: domain.ContentQuickReply, Title: "Keep the appointment?", Replies: []string{"Keep", "Move", "Cancel"}},
			`{"type":"quick_reply","title":"Keep the appointment?","replies":["Keep","Move","Cancel"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call, err := Outbound{}.Request(phoneChannel(), delivery(c.content))
			if err != nil {
				t.Fatal(err)
			}
			want := `{"channelId":"620418","contactId":"+351912345678","message":` + c.want + `}`
			if string(call.Body) != want || !json.Valid(call.Body) {
				t.Errorf("got  %s\nwant %s", call.Body, want)
			}
		})
	}
}

// What the wire has no form for is not sent in another form.
func TestRequestRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []domain.Content{{}, {Type: "sticker"}, {Type: domain.ContentAttachment}, {Type: domain.ContentText, Text: strings.Repeat("a", 7001)}} {
		if call, err := (Outbound{}).Request(phoneChannel(), delivery(c)); err == nil {
			t.Errorf("%+v gives %s", c, call.Body)
		}
	}
}
