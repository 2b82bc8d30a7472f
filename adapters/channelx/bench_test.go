package channelx

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// BenchmarkParams reads a message of a usual size in each encoding.
func BenchmarkParams(b *testing.B) {
	parts, contentType := multiparts(b,
		part{name: "content", text: "Is my order out yet?"}, part{name: "message_type", text: "incoming"}, part{name: "private", text: "false"},
		part{name: "source_id", text: "ext-881"}, part{name: "content_attributes", text: `{"in_reply_to_external_id":"ext-880"}`})
	for _, bb := range []struct{ name, contentType, body string }{
		{"json", "application/json", `{"content":"Is my order out yet?","message_type":"incoming","private":false,"source_id":"ext-881","content_attributes":{"in_reply_to_external_id":"ext-880"}}`},
		{"form", formType, "content=Is+my+order+out+yet%3F&message_type=incoming&private=false&source_id=ext-881&content_attributes%5Bin_reply_to_external_id%5D=ext-880"},
		{"multipart", contentType, parts},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.body)))
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(bb.body))
				r.Header.Set("Content-Type", bb.contentType)
				p, err := readParams(nil, r, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				p.close()
			}
		})
	}
}

// BenchmarkView shows the usual things.
func BenchmarkView(b *testing.B) {
	v, scene, reply, ch := sampleView(4), sampleScene(), sampleReply(), sampleChannel()
	seen := domain.TicketSeen{Ticket: sampleTicket(), Person: samplePerson(), Identity: sampleIdentity(), Post: &reply, Said: &reply}
	notice := domain.Notice{Name: domain.NoticeMessageCreated, Account: scene.Account, Scene: &scene, Post: &reply}
	for name, show := range map[string]func() ([]byte, error){
		"message":      func() ([]byte, error) { return encode(v.message(ch, reply, samplePerson(), "")) },
		"conversation": func() ([]byte, error) { return encode(v.conversation(seen)) },
		"cable":        func() ([]byte, error) { return encode(v.pushMessage(reply, scene, "")) },
		"callback":     func() ([]byte, error) { return v.callbackBody(notice) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := show(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOutbound makes a signed call.
func BenchmarkOutbound(b *testing.B) {
	at := int64(1765000140)
	o, ch, d := outboundAt(&at), sampleChannel(), sampleDelivery()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Request(ch, d); err != nil {
			b.Fatal(err)
		}
	}
}
