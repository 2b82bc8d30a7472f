package voximplant

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Ensure the worked values of section 5.2 come out, and none of the mistakes.
func TestSignature(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ salt, token, event, want string }{
		{theSalt, theToken, "", "f6b1313bde919db97537d3815c82166b"},
		{theSalt, theToken, "0b6f3c1e-8d52-4a7e-9f10-2f6f1a7b9c01", "1c7ce084edfaf31142a459bb1b5a345a"},
		{theSalt, theToken, "7c1d9a40-53be-4f0e-8a6b-91d2e3f4a5b6", "576c49330c918308f73711d6b9f449e1"},
		{theSalt, theToken, "evt-1", "0b0e84a4790442c74fc53b5784ee97e6"},
		{theSalt, theToken, "123", "a2187d4f39a9d95f70f07983696afe19"},
		{theSalt, "kt_NEW_91c0d2", "", "5bec0044e287bf63078b02808c0b8e01"},
		{theSalt, "kt_NEW_91c0d2", "0b6f3c1e-8d52-4a7e-9f10-2f6f1a7b9c01", "c983dd43dadb29ae17599039b8990c80"},
		{"9c0e55d2a1b74e6f", "api-token-ÄÖ-7", "42", "756caeb3607b8479ce1f282dd1dd5b80"},
	} {
		got := Signature(c.salt, c.token)
		if c.event != "" {
			got = Signature(c.salt, c.token, c.event)
		}
		if got != c.want {
			t.Errorf("%s:%s:%s gives %s, want %s", c.salt, c.token, c.event, got, c.want)
		}
	}
	const event = "0b6f3c1e-8d52-4a7e-9f10-2f6f1a7b9c01"
	for mistake, c := range map[string]struct{ made, digest string }{
		"a blank after each colon":           {Signature(theSalt, " "+theToken), "6edde1e29592677372f3419d833fc25e"},
		"a blank after each colon, an event": {Signature(theSalt, " "+theToken, " "+event), "772dda362f142c6c96071ea799170850"},
		"trailing newline":                   {Signature(theSalt, theToken+"\n"), "c2711b6dc42d2b744b3c3fdfc43a2cc8"},
		"token before salt":                  {Signature(theToken, theSalt), "49343e0645f314efb628fe6e8f978f99"},
	} {
		if c.made != c.digest { // the mistake is the one that the text means
			t.Errorf("%s gives %s, want %s", mistake, c.made, c.digest)
		}
		if Signature(theSalt, theToken) == c.digest || Signature(theSalt, theToken, event) == c.digest {
			t.Errorf("%s is made", mistake)
		}
	}
}

func outbound(w *world) Outbound {
	return NewOutbound(OutboundConfig{Directory: w, Keys: w, PublicURL: "https://kit.example.com:8443/base/"})
}

var petra = &domain.Sender{
	Number: 31, Username: "petra", DisplayName: "Petra Mala", Avatar: "https://desk.acme.example/avatars/31.png", Email: "petra@acme.example",
}

func delivery(kind domain.DeliveryKind, c domain.Content, s domain.Subject) domain.Delivery {
	return domain.Delivery{
		ID: uuid.MustParse("11111111-2222-5333-8444-555555555555"), Kind: kind, Account: acme, Channel: channelA, Dialect: domain.DialectVoximplant,
		ContactRef: `u-<20417>"`, MessageID: uuid.MustParse("9d0c2b7e-44f1-4c58-a1f3-3a5f0f1e2d4c"),
		Conversation: domain.ConversationID(channelA, `u-<20417>"`), Content: c, Subject: s,
	}
}

const (
	theEvent = "8770df96-cf5c-4bdb-a8a1-48701f90a422" // follows from the delivery's id
	toldHead = `{"client_data":{"client_id":"u-<20417>\""},"event_id":"` + theEvent + `","event_type":`
	byPetra  = `{"sender_id":31,"sender_username":"petra","sender_display_name":"Petra Mala","sender_avatar":"https://desk.acme.example/avatars/31.png","sender_email":"petra@acme.example",`
	byBot    = `{"sender_id":0,"sender_username":"","sender_display_name":"Bot","sender_avatar":"","sender_email":"","sender_type":"bot","is_bot":true}`
)

// Ensure the bodies of sections 5.4 and 5.5, byte for byte.
func TestRequestBody(t *testing.T) {
	t.Parallel()
	text := func(s string) domain.Content { return domain.Content{Type: domain.ContentText, Text: s} }
	message := func(sender, text, payload string) string {
		return toldHead + `"send_message","event_data":{"sender_data":` + sender +
			`,"message":{"message_id":"9d0c2b7e-44f1-4c58-a1f3-3a5f0f1e2d4c","text":"` + text + `","payload":[` + payload + `]}}}`
	}
	agent := byPetra + `"sender_type":"agent","is_bot":false}`
	closed := func(data string) string { return toldHead + `"close_conversation","event_data":{` + data + `}}` }
	for name, c := range map[string]struct {
		d    domain.Delivery
		want string
	}{
		"an operator's text": {delivery(domain.DeliverMessage, text("Yes, <sizes> 38 & 42. 😀"), domain.Subject{Sender: petra}), message(agent, "Yes, <sizes> 38 & 42. 😀", "")},
		"a bot's text":       {delivery(domain.DeliverMessage, text("I am a bot."), domain.Subject{Sender: domain.BotSender()}), message(byBot, "I am a bot.", "")},
		"text and items": {
			delivery(domain.DeliverMessage, domain.Content{Type: domain.ContentText, Text: "all", Attachments: []domain.Item{
				{Type: domain.ItemImage, URL: "https://x.example/p?a=1&b=2", FileName: "p.jpg"}, {Type: domain.ItemVideo, URL: "https://x.example/v.mp4"},
				{Type: domain.ItemAudio, URL: "https://x.example/a"}, {Type: domain.ItemFile, URL: "https://x.example/"},
				{Type: domain.ItemFile, MimeType: "image/png", URL: "https://x.example/i%20j.png"}, {Type: domain.ItemImage, MimeType: "Application/PDF", URL: "https://x.example/d"},
				{Type: domain.ItemContact, Name: "Showroom", Number: "+420601000222"},
				{Type: domain.ItemLocation, Latitude: new(50.08), Longitude: new(14.42), Address: "Main Street 1"},
			}}, domain.Subject{Sender: petra}),
			message(agent, "all", `{"type":"photo","file_name":"p.jpg","file_url":"https://x.example/p?a=1&b=2"},`+
				`{"type":"video","file_name":"v.mp4","file_url":"https://x.example/v.mp4"},{"type":"audio","file_name":"a","file_url":"https://x.example/a"},`+
				`{"type":"document","file_name":"","file_url":"https://x.example/"},{"type":"photo","file_name":"i j.png","file_url":"https://x.example/i%20j.png"},`+
				`{"type":"document","file_name":"d","file_url":"https://x.example/d"},{"type":"contact","name":"Showroom","number":"+420601000222","avatar":""},`+
				`{"type":"location","latitude":50.08,"longitude":14.42,"address":"Main Street 1"}`),
		},
		"a file": {
			delivery(domain.DeliverMessage, domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{
				Type: "file", URL: "https://desk.acme.example/files/8f2c/invoice.pdf", FileName: "invoice.pdf", MimeType: "application/pdf", Description: "not said",
			}}, domain.Subject{Sender: petra}),
			message(agent, "", `{"type":"document","file_name":"invoice.pdf","file_url":"https://desk.acme.example/files/8f2c/invoice.pdf"}`),
		},
		"an image that is described": {
			delivery(domain.DeliverMessage, domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{
				Type: "image", URL: "https://x.example/p.jpg", Description: "the shop",
			}}, domain.Subject{Sender: petra}),
			message(agent, "the shop", `{"type":"photo","file_name":"p.jpg","file_url":"https://x.example/p.jpg"}`),
		},
		"a place": {
			delivery(domain.DeliverMessage, domain.Content{Type: domain.ContentLocation, Latitude: new(float64(0)), Longitude: new(-8.6)}, domain.Subject{Sender: petra}),
			message(agent, "", `{"type":"location","latitude":0,"longitude":-8.6,"address":""}`),
		},
		"closed by an agent":    {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{Sender: petra, Reason: domain.ClosedByAgent}), closed(`"close_reason":"CLOSED_BY_AGENT","sender_data":` + byPetra + `"is_bot":false}`)},
		"closed by a bot":       {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{Reason: domain.ClosedByBot}), closed(`"close_reason":"CLOSED_BY_BOT","sender_data":{"is_bot":true}`)},
		"closed by a timer":     {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{Sender: petra, Reason: domain.ClosedByTimeout}), closed(`"close_reason":"CLOSED_BY_CLIENT_TIMEOUT"`)},
		"closed somehow":        {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{Reason: domain.ClosedByUnknown}), closed(`"close_reason":"CLOSED_BY_UNKNOWN_REASON"`)},
		"closed for no reason":  {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{}), closed(`"close_reason":"CLOSED_BY_UNKNOWN_REASON"`)},
		"closed for another":    {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{Reason: "bored"}), closed(`"close_reason":"CLOSED_BY_UNKNOWN_REASON"`)},
		"nobody knows by whom":  {delivery(domain.DeliverClose, domain.Content{}, domain.Subject{Reason: domain.ClosedByAgent}), closed(`"close_reason":"CLOSED_BY_AGENT","sender_data":` + nobody + `"is_bot":false}`)},
		"nobody knows who says": {delivery(domain.DeliverMessage, text("x"), domain.Subject{}), message(nobody+`"sender_type":"agent","is_bot":false}`, "x", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := channel(acme, channelA)
			ch.SkipTLSVerify = true
			call, err := outbound(newWorld()).Request(ch, c.d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(call.Body)); diff != "" {
				t.Error(diff)
			}
			headers := []domain.Header{
				{Name: "Content-Type", Value: "application/json"}, {Name: "Authorization", Value: Signature(theSalt, theToken, theEvent)},
			}
			if diff := cmp.Diff(headers, call.Headers); diff != "" || call.Method != http.MethodPost || call.URL != ch.CallbackURL ||
				call.Timeout != 15*time.Second || !call.SkipTLSVerify {
				t.Errorf("%s %s %s %v\n%s", call.Method, call.URL, call.Timeout, call.SkipTLSVerify, diff)
			}
		})
	}
}

const nobody = `{"sender_id":2133773034,"sender_username":"","sender_display_name":"","sender_avatar":"","sender_email":"",`

// Ensure a repeat has the same body, and the signature of the channel as it is now.
func TestRequestAgain(t *testing.T) {
	t.Parallel()
	o, ch := outbound(newWorld()), channel(acme, channelA)
	d := delivery(domain.DeliverMessage, domain.Content{Type: domain.ContentText, Text: "x"}, domain.Subject{Sender: petra})
	first, err := o.Request(ch, d)
	if err != nil {
		t.Fatal(err)
	}
	ch.Credentials = domain.Credentials{APIToken: "kt_NEW_91c0d2", Salt: "s"}
	ch.CallbackURL = "http://other.example/"
	d.Attempts, d.Tries = 3, 3
	again, err := o.Request(ch, d)
	if err != nil || string(again.Body) != string(first.Body) || again.URL != "http://other.example/" ||
		again.Headers[1].Value != Signature("s", "kt_NEW_91c0d2", theEvent) {
		t.Errorf("%v %+v", err, again)
	}
	if id := uuid.MustParse(theEvent); id.Version() != 4 || id.Variant() != uuid.RFC4122 {
		t.Errorf("event_id has the shape of version %d", id.Version())
	}
	d.ID = uuid.New()
	other, err := o.Request(ch, d)
	if err != nil || string(other.Body) == string(first.Body) {
		t.Error("two deliveries are one event")
	}
}

// Ensure what the wire has no form for is not sent in another form.
func TestRequestRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []domain.Content{
		{}, {Type: "sticker"}, {Type: domain.ContentAttachment}, {Type: domain.ContentText}, {Type: domain.ContentText, Text: strings.Repeat("a", 65_537)},
		{Type: domain.ContentQuickReply, Title: "t", Replies: []string{"a"}},
	} {
		if call, err := outbound(newWorld()).Request(channel(acme, channelA), delivery(domain.DeliverMessage, c, domain.Subject{})); err == nil {
			t.Errorf("%+v gives %s", c, call.Body)
		}
	}
}

// Ensure the check of section 5.1: GET, then POST where a server may know only that.
func TestCheck(t *testing.T) {
	t.Parallel()
	o, ch := outbound(newWorld()), channel(acme, channelA)
	const digest = "f6b1313bde919db97537d3815c82166b"
	call, ok := o.Check(ch, 0, domain.Answer{})
	if !ok || call.Method != http.MethodGet || call.URL != ch.CallbackURL || call.Body != nil ||
		!cmp.Equal(call.Headers, []domain.Header{{Name: "Authorization", Value: digest}}) || call.Timeout != callTimeout {
		t.Errorf("%v %+v", ok, call)
	}
	for status, want := range map[int]bool{
		200: false, 204: false, 301: false, 400: false, 401: false, 403: false, 404: true, 405: true, 500: false, 501: true, 503: false,
	} {
		call, ok := o.Check(ch, 1, domain.Answer{Status: status})
		if ok != want {
			t.Errorf("after %d: %v", status, ok)
		}
		if ok && (call.Method != http.MethodPost || string(call.Body) != "{}" || call.Headers[0].Value != digest || call.URL != ch.CallbackURL) {
			t.Errorf("%+v", call)
		}
		if _, ok := o.Check(ch, 2, domain.Answer{Status: status}); ok {
			t.Errorf("a third call after %d", status)
		}
	}
	if _, ok := o.Check(ch, 1, domain.Answer{Fault: domain.ReasonTimeout, Status: 404}); ok {
		t.Error("a second call after none was answered")
	}
}

// Ensure the tables of sections 5.6 and 8.4.
func TestOutcome(t *testing.T) {
	t.Parallel()
	message := delivery(domain.DeliverMessage, domain.Content{}, domain.Subject{})
	for _, c := range []struct {
		answer domain.Answer
		want   domain.Outcome
	}{
		{domain.Answer{Status: 200, Body: []byte(`{"error":"no"}`)}, domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 200, Response: []byte(`{"error":"no"}`)}},
		{domain.Answer{Status: 204}, domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 204}},
		{domain.Answer{Status: 299, Truncated: true}, domain.Outcome{Verdict: domain.Delivered, Reason: domain.ReasonOK, HTTPStatus: 299}},
		{domain.Answer{Status: 302, RetryAfter: "7"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 302, Detail: "HTTP 302"}},
		{domain.Answer{Status: 400, Body: []byte(" bad thing\n")}, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 400, Detail: "HTTP 400: bad thing", Response: []byte(" bad thing\n")}},
		{domain.Answer{Status: 401}, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 401, Detail: "HTTP 401"}},
		{domain.Answer{Status: 403, Body: []byte("<html>")}, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 403, Detail: "HTTP 403", Response: []byte("<html>")}},
		{domain.Answer{Status: 404}, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 404, Detail: "HTTP 404"}},
		{domain.Answer{Status: 410}, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonRejected, HTTPStatus: 410, Detail: "HTTP 410"}},
		{domain.Answer{Status: 408, RetryAfter: "7"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 408, Detail: "HTTP 408"}},
		{domain.Answer{Status: 425}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 425, Detail: "HTTP 425"}},
		{domain.Answer{Status: 429, RetryAfter: "7"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonRateLimited, HTTPStatus: 429, Detail: "HTTP 429", RetryAfter: 7 * time.Second, Firm: true}},
		{domain.Answer{Status: 429}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonRateLimited, HTTPStatus: 429, Detail: "HTTP 429"}},
		{domain.Answer{Status: 500, RetryAfter: "7"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 500, Detail: "HTTP 500"}},
		{domain.Answer{Status: 503, RetryAfter: "601"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "HTTP 503", RetryAfter: 10 * time.Minute, Firm: true}},
		{domain.Answer{Status: 503, RetryAfter: "99999999999999999999"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "HTTP 503", RetryAfter: 10 * time.Minute, Firm: true}},
		{domain.Answer{Status: 503, RetryAfter: "Thu, 01 Jan 2026 12:00:30 GMT"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "HTTP 503", RetryAfter: 30 * time.Second, Firm: true}},
		{domain.Answer{Status: 503, RetryAfter: "Thu, 01 Jan 2026 11:00:00 GMT"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "HTTP 503"}},
		{domain.Answer{Status: 503, RetryAfter: "soon"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonServerError, HTTPStatus: 503, Detail: "HTTP 503"}},
		{domain.Answer{Fault: domain.ReasonTimeout}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonTimeout, Detail: "timeout"}},
		{domain.Answer{Fault: domain.ReasonUnreachable, Detail: "its name is not known"}, domain.Outcome{Verdict: domain.Retry, Reason: domain.ReasonUnreachable, Detail: "its name is not known"}},
		{domain.Answer{Fault: domain.ReasonAddressRefused}, domain.Outcome{Verdict: domain.Refused, Reason: domain.ReasonAddressRefused, Detail: "the callback's address is not allowed"}},
	} {
		got := Outbound{}.Outcome(message, c.answer, noon)
		got.Response = nil
		c.want.Response = nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v: %s", c.answer, diff)
		}
		asked := Outbound{}.Outcome(delivery(domain.DeliverFunction, domain.Content{}, domain.Subject{}), c.answer, noon)
		if asked.Verdict == domain.Retry || asked.RetryAfter != 0 || asked.Firm {
			t.Errorf("a function is asked again after %+v", c.answer)
		}
	}
	long := Outbound{}.Outcome(message, domain.Answer{Status: 400, Body: []byte(strings.Repeat("ü", 5000))}, noon)
	if want := "HTTP 400: " + strings.Repeat("ü", maxQuoted); long.Detail != want {
		t.Errorf("%q", long.Detail)
	}
}
