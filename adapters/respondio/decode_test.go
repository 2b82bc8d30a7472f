package respondio

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func phoneChannel() domain.Channel {
	return domain.Channel{
		ID: "620418", Account: domain.DefaultAccount, Dialect: domain.DialectRespondIO, Name: "P", IDType: domain.IDTypePhone,
		CallbackURL: "https://srv.example.org", Credentials: domain.Credentials{APIToken: "TP"},
	}
}

func customChannel() domain.Channel {
	ch := phoneChannel()
	ch.ID, ch.IDType, ch.Credentials.APIToken = "620777", domain.IDTypeCustom, "TC"
	return ch
}

// enveloped puts an event into an otherwise valid body for the custom channel.
func enveloped(event string) string {
	return `{"channelId":"620777","contactId":"abc","events":[` + event + `]}`
}

// said puts a message object into an otherwise valid body.
func said(message string) string {
	return enveloped(`{"type":"message","mId":"m1","timestamp":1767261600000,"message":` + message + `}`)
}

// known puts a contact object beside a valid event.
func known(contact string) string {
	return `{"channelId":"620777","contactId":"abc","contact":` + contact +
		`,"events":[{"type":"message","mId":"m1","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}]}`
}

func a(n int) string { return strings.Repeat("a", n) }

// The order of checks within a body, and the words of refusals (sections 3.2 to 3.7).
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	hi := `{"type":"message","mId":"m1","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}`
	for _, c := range []struct {
		name, body string
		code       domain.Code
		want       string
	}{
		{"empty", "", domain.CodeInvalid, "body must be JSON"},
		{"cut", "{", domain.CodeInvalid, "body must be JSON"},
		{"array", "[]", domain.CodeInvalid, "body must be a JSON object"},
		{"null", " null ", domain.CodeInvalid, "body must be a JSON object"},
		{"garbage behind", enveloped(hi) + "x", domain.CodeInvalid, "body must be JSON"},
		{"second object", enveloped(hi) + "{}", domain.CodeInvalid, "body must be JSON"},
		{"not UTF-8", enveloped(`{"x":"` + "\xff" + `"}`), domain.CodeInvalid, "body must be UTF-8"},
		{"zero in an unknown field", `{"x":{"y":["a\\\u0000"]}}`, domain.CodeInvalid, "body must not contain the character U+0000"},
		{"zero in a key", `{"\u0000":1}`, domain.CodeInvalid, "body must not contain the character U+0000"},
		{"no channel", `{"contactId":"abc","events":{}}`, domain.CodeInvalid, "channelId is required"},
		{"channel null", `{"channelId":null}`, domain.CodeInvalid, "channelId is required"},
		{"channel an object", `{"channelId":{}}`, domain.CodeInvalid, "channelId must be a string"},
		{"another channel before all else", `{"channelId":"1","contactId":5.5,"events":{}}`, domain.CodeForbidden, "the token is not that of this channel"},
		{"no contact", `{"channelId":"620777"}`, domain.CodeInvalid, "contactId is required"},
		{"contact a fraction", `{"channelId":"620777","contactId":1.5}`, domain.CodeInvalid, "contactId must be a string"},
		{"contact not of the set", `{"channelId":"620777","contactId":"a-b"}`, domain.CodeInvalid, "contactId may hold only A-Z a-z 0-9 _ = + / @"},
		{"no events", `{"channelId":"620777","contactId":"abc"}`, domain.CodeInvalid, "events is required"},
		{"events an object", `{"channelId":"620777","contactId":"abc","events":{}}`, domain.CodeInvalid, "events must be an array"},
		{"events empty", enveloped(""), domain.CodeInvalid, "events must hold 1 to 100 entries"},
		{"101 events", enveloped(strings.Repeat(hi+",", 100) + hi), domain.CodeInvalid, "events must hold 1 to 100 entries"},
		{"event a string", enveloped(hi + `,"x"`), domain.CodeInvalid, "events[1] must be an object"},
		{"unknown type", enveloped(`{"type":"message_read"}`), domain.CodeInvalid, "events[0].type must be one of message, message_echo, message_status"},
		{"no mId", enveloped(`{"type":"message","id":"m1"}`), domain.CodeInvalid, "events[0].mId is required"},
		{"mId too long", enveloped(hi + `,{"type":"message","mId":"` + a(51) + `"}`), domain.CodeInvalid, "events[1].mId must be at most 50 characters"},
		{"mId a fraction", enveloped(`{"type":"message","mId":7.7}`), domain.CodeInvalid, "events[0].mId must be a string"},
		{"no message", enveloped(`{"type":"message","mId":"m1","timestamp":1767261600000}`), domain.CodeInvalid, "events[0].message is required"},
		{"message a string", said(`"x"`), domain.CodeInvalid, "events[0].message must be an object"},
		{"message without type", said(`{}`), domain.CodeInvalid, "events[0].message.type is required"},
		{"sticker", said(`{"type":"sticker"}`), domain.CodeInvalid, "events[0].message.type must be one of text, attachment, location, quick_reply"},
		{"text a number", said(`{"type":"text","text":5}`), domain.CodeInvalid, "events[0].message.text must be a string"},
		{"text too long", said(`{"type":"text","text":"` + a(7001) + `"}`), domain.CodeInvalid, "events[0].message.text must be at most 7000 characters"},
		{"attachment beside", said(`{"type":"attachment","url":"https://example.com/a"}`), domain.CodeInvalid, "events[0].message.attachment is required"},
		{"attachment a string", said(`{"type":"attachment","attachment":"x"}`), domain.CodeInvalid, "events[0].message.attachment must be an object"},
		{"document", said(`{"type":"attachment","attachment":{"type":"document","url":"https://example.com/a"}}`), domain.CodeInvalid, "events[0].message.attachment.type must be one of image, video, audio, file"},
		{"latitude a word", said(`{"type":"location","latitude":"0x1p2","longitude":1}`), domain.CodeInvalid, "events[0].message.latitude must be a number"},
		{"latitude Inf", said(`{"type":"location","latitude":"Inf","longitude":1}`), domain.CodeInvalid, "events[0].message.latitude must be a number"},
		{"latitude out of reach", said(`{"type":"location","latitude":1e999,"longitude":1}`), domain.CodeInvalid, "events[0].message.latitude must be a number"},
		{"right spelling wins", said(`{"type":"location","latitude":1,"longitude":"x","longtitude":1}`), domain.CodeInvalid, "events[0].message.longitude must be a number"},
		{"replies of objects", said(`{"type":"quick_reply","title":"t","replies":["a",{}]}`), domain.CodeInvalid, "events[0].message.replies[1] must be a string"},
		{"replies an object", said(`{"type":"quick_reply","title":"t","replies":{}}`), domain.CodeInvalid, "events[0].message.replies must be an array of strings"},
		{"empty reply", said(`{"type":"quick_reply","title":"t","replies":[""]}`), domain.CodeInvalid, "events[0].message.replies[0] is required"},
		{"no status", enveloped(`{"type":"message_status","mId":"m1","timestamp":1767261600000}`), domain.CodeInvalid, "events[0].status is required"},
		{"status pending", enveloped(`{"type":"message_status","mId":"m1","timestamp":1767261600000,"status":{"value":"pending"}}`), domain.CodeInvalid, "events[0].status.value must be one of sent, delivered, read, failed"},
		{"failed without why", enveloped(`{"type":"message_status","mId":"m1","timestamp":1767261600000,"status":{"value":"failed","message":""}}`), domain.CodeInvalid, "events[0].status.message is required"},
		{"contact an array", known(`[]`), domain.CodeInvalid, "contact must be an object"},
		{"first name too long", known(`{"firstName":"` + a(51) + `"}`), domain.CodeInvalid, "contact.firstName must be at most 50 characters"},
		{"first name a number", known(`{"firstName":5}`), domain.CodeInvalid, "contact.firstName must be a string"},
		{"email too long", known(`{"email":"` + a(51) + `"}`), domain.CodeInvalid, "contact.email must be at most 50 characters"},
		{"phone too long", known(`{"phone":"` + a(19) + `"}`), domain.CodeInvalid, "contact.phone must be at most 18 characters"},
		{"timezone", known(`{"timezone":"24.5"}`), domain.CodeInvalid, "contact.timezone must be a number from -24 to 24"},
		{"timezone far west", known(`{"timezone":-24.5}`), domain.CodeInvalid, "contact.timezone must be a number from -24 to 24"},
		{"timezone an object", known(`{"timezone":{}}`), domain.CodeInvalid, "contact.timezone must be a number from -24 to 24"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			events, err := decode([]byte(c.body), "", customChannel(), noon)
			if events != nil || domain.CodeOf(err) != c.code || err.Error() != c.want {
				t.Errorf("got %d events, code %q, %v; want %q, %q", len(events), domain.CodeOf(err), err, c.code, c.want)
			}
		})
	}
}

func TestDecodePathSuffix(t *testing.T) {
	t.Parallel()
	body := []byte(said(`{"type":"text","text":"hi"}`))
	if _, err := decode(body, "620777", customChannel(), noon); err != nil {
		t.Error(err)
	}
	if _, err := decode(body, "999999", customChannel(), noon); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("another suffix: %v", err)
	}
	if _, err := decode(body, "620777", phoneChannel(), noon); domain.CodeOf(err) != domain.CodeForbidden {
		t.Errorf("another token: %v", err)
	}
}

// What the body says becomes the domain's event.
func TestDecodeEvents(t *testing.T) {
	t.Parallel()
	ch := customChannel()
	at := time.UnixMilli(1767261600000).UTC()
	number := func(f float64) *float64 { return &f }
	text := domain.Content{Type: domain.ContentText, Text: "hi"}
	for _, c := range []struct {
		name, body string
		want       domain.Event
	}{
		{
			"text, kept as it is", said(`{"type":"text","text":" \"\u00e9\n\\u0000 <b>😀 "}`),
			ch.Receive("abc", "m1", at, domain.Content{Type: domain.ContentText, Text: " \"é\n\\u0000 <b>😀 "}, nil, noon),
		},
		{
			"numbers without loss",
			`{"channelId":620777,"contactId":123456789012345678,"events":[{"type":"message","mId":987654321098765432,"timestamp":"1767261600000","message":{"type":"text","text":"hi"}}]}`,
			ch.Receive("123456789012345678", "987654321098765432", at, text, nil, noon),
		},
		{
			"mld", enveloped(`{"type":"message","mld":"m2","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}`),
			ch.Receive("abc", "m2", at, text, nil, noon),
		},
		{
			"mId before mld", enveloped(`{"type":"message","mld":"m2","mId":"m1","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}`),
			ch.Receive("abc", "m1", at, text, nil, noon),
		},
		{
			"unknown and unused fields",
			enveloped(`{"type":"message","mId":"m1","timestamp":1767261600000,"status":5,"x":{"y":[1,{"z":"]}"}]},"message":{"type":"text","text":"hi","title":7,"attachment":"x"}}`),
			ch.Receive("abc", "m1", at, text, nil, noon),
		},
		{
			"the last of doubled keys alone",
			`{"channelId":"1","channelId":"620777","contactId":"abc","events":[{"type":"message_echo","mId":"m0","message":{"type":"text"}}],` +
				`"events":[{"type":"message","mId":"m1","timestamp":1767261600000,"message":{"type":"location","latitude":1},"message":{"type":"text","text":"hi"}}]}`,
			ch.Receive("abc", "m1", at, text, nil, noon),
		},
		{
			"escaped key", enveloped(`{"type":"message","\u006dId":"m1","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}`),
			ch.Receive("abc", "m1", at, text, nil, noon),
		},
		{
			"white space", " {\n\t\"channelId\" : \"620777\" , \"contactId\" : \"abc\" ,\r\n \"events\" : [ { \"type\" : \"message\" , \"mId\" : \"m1\" , " +
				"\"timestamp\" : 1767261600000 , \"message\" : { \"type\" : \"text\" , \"text\" : \"hi\" } } ] } ",
			ch.Receive("abc", "m1", at, text, nil, noon),
		},
		{
			"attachment",
			said(`{"type":"attachment","attachment":{"type":"image","url":"https://example.com/a.png","mimeType":"image/png","fileName":"a.png","description":"Receipt"}}`),
			ch.Receive("abc", "m1", at, domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{
				Type: "image", URL: "https://example.com/a.png", MimeType: "image/png", FileName: "a.png", Description: "Receipt",
			}}, nil, noon),
		},
		{
			"description without use", said(`{"type":"attachment","attachment":{"type":"audio","url":"https://example.com/a","description":"` + a(300) + `","fileName":null}}`),
			ch.Receive("abc", "m1", at, domain.Content{Type: domain.ContentAttachment, Attachment: &domain.Attachment{
				Type: "audio", URL: "https://example.com/a",
			}}, nil, noon),
		},
		{
			"location as texts, misspelt", said(`{"type":"location","latitude":"38.7","longtitude":-9.5,"longitude":null,"address":"Rua"}`),
			ch.Receive("abc", "m1", at, domain.Content{
				Type: domain.ContentLocation, Latitude: number(38.7), Longitude: number(-9.5), Address: "Rua",
			}, nil, noon),
		},
		{
			"quick reply", said(`{"type":"quick_reply","title":"When?","replies":["Mon","Thu"]}`),
			ch.Receive("abc", "m1", at, domain.Content{Type: domain.ContentQuickReply, Title: "When?", Replies: []string{"Mon", "Thu"}}, nil, noon),
		},
		{
			"echo", enveloped(`{"type":"message_echo","mId":"m1","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}`),
			ch.Echo("abc", "m1", at, text, nil, noon),
		},
		{
			"receipt with a message that does not count",
			enveloped(`{"type":"message_status","mId":"m1","timestamp":1767261600000,"message":"x","status":{"value":"read","message":7}}`),
			ch.Receipt("abc", "m1", domain.StatusRead, "", at, noon),
		},
		{
			"failure, cut", enveloped(`{"type":"message_status","mId":"m1","timestamp":1767261600000,"status":{"value":"failed","message":"` + strings.Repeat("é", 1200) + `"}}`),
			ch.Receipt("abc", "m1", domain.StatusFailed, strings.Repeat("é", 1000), at, noon),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := decode([]byte(c.body), "", ch, noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]domain.Event{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeTimestamp(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]int64{
		`1767261600000`:          1767261600000,
		`"1767261600000"`:        1767261600000,
		`1767261600000.9`:        1767261600000,
		`1.7672616e12`:           1767261600000,
		`1767261600`:             1767261600000,
		`"1767261600"`:           1767261600000,
		`99999999999`:            99999999999000,
		`100000000000`:           100000000000,
		`2132131321000`:          2132131321000,
		`253402300799999`:        253402300799999,
		`253402300800000`:        0,
		`9223372036854775808`:    0,
		`1e300`:                  0,
		`-1e300`:                 0,
		`0`:                      0,
		`0.5`:                    0,
		`-1`:                     0,
		`-1767261600000`:         0,
		`"-1767261600000"`:       0,
		`"1767261600000.5"`:      0,
		`"x"`:                    0,
		`""`:                     0,
		`null`:                   0,
		`true`:                   0,
		`[1767261600000]`:        0,
		`"+1767261600000"`:       0,
		`{"value":176726160000}`: 0,
	} {
		got, err := readTimestamp(value(raw))
		if (err == nil) != (want != 0) || want != 0 && got.UnixMilli() != want {
			t.Errorf("%s gives %v, %v; want %d", raw, got, err, want)
		}
		if err == nil {
			if _, err := json.Marshal(got); err != nil {
				t.Errorf("%s cannot be written: %v", raw, err)
			}
		}
	}
}

// Documented lengths count, malformed hints are dropped (section 3.6).
func TestDecodeProfile(t *testing.T) {
	t.Parallel()
	hours := func(f float64) *float64 { return &f }
	full := domain.Profile{
		FirstName: "Marta", LastName: "Lopes", PictureURL: "https://img.example.net/u/marta.jpg", Locale: "pt_PT", CountryCode: "PT",
		Timezone: hours(0), Email: "marta@example.net", Phone: "+351912345678", Language: "pt",
	}
	for _, c := range []struct {
		name, contact string
		want          *domain.Profile
	}{
		{"none", `null`, nil},
		{"empty", `{}`, nil},
		{"full", `{"firstName":"Marta","lastName":"Lopes","profilePic":"https://img.example.net/u/marta.jpg","locale":"pt_PT","countryCode":"pt","timezone":0,"email":"marta@example.net","phone":"351 912 345 678","language":"pt-BR"}`, &full},
		{"empty texts", `{"firstName":"","lastName":"","profilePic":"","locale":"","countryCode":"","timezone":"","email":"","phone":"","language":""}`, nil},
		{"nulls", `{"firstName":null,"lastName":null,"profilePic":null,"locale":null,"countryCode":null,"timezone":null,"email":null,"phone":null,"language":null}`, nil},
		{"malformed hints", `{"profilePic":"x","locale":"Portuguese","countryCode":"20","email":"nobody","phone":"hello","language":"Portuguese"}`, nil},
		{"hints of other kinds", `{"profilePic":1,"locale":[],"countryCode":20,"email":{},"phone":true,"language":7}`, nil},
		{"country of three", `{"countryCode":"PRT"}`, nil},
		{"phone as number", `{"phone":351912345678}`, &domain.Profile{Phone: "+351912345678"}},
		{"timezone as text", `{"timezone":"8"}`, &domain.Profile{Timezone: hours(8)}},
		{"timezone with a fraction", `{"timezone":-5.5}`, &domain.Profile{Timezone: hours(-5.5)}},
		{"language with an underscore", `{"language":"PT_br"}`, &domain.Profile{Language: "pt"}},
		{"fifty characters of two bytes", `{"firstName":"` + strings.Repeat("é", 50) + `"}`, &domain.Profile{FirstName: strings.Repeat("é", 50)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := decode([]byte(known(c.contact)), "", customChannel(), noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got[0].Data.(domain.MessageReceived).Profile); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// On a phone channel the reference is the phone unless the profile names one.
func TestDecodePhoneDefault(t *testing.T) {
	t.Parallel()
	for contact, want := range map[string]string{`null`: "+15550100", `{"phone":"+15550199"}`: "+15550199", `{"phone":"x"}`: "+15550100"} {
		body := strings.NewReplacer(`"620777"`, `"620418"`, `"abc"`, `"1 555-0100"`).Replace(known(contact))
		got, err := decode([]byte(body), "", phoneChannel(), noon)
		if err != nil {
			t.Fatal(err)
		}
		if phone := got[0].Data.(domain.MessageReceived).Profile.Phone; phone != want || got[0].ContactRef != "+15550100" {
			t.Errorf("contact %s: phone %q of %q, want %q", contact, phone, got[0].ContactRef, want)
		}
	}
}

// Events keep the order of the array.
func TestDecodeBatch(t *testing.T) {
	t.Parallel()
	var list []string
	for i := range 100 {
		list = append(list, fmt.Sprintf(`{"type":"message","mId":"m%d","timestamp":1767261600000,"message":{"type":"text","text":"hi"}}`, i))
	}
	got, err := decode([]byte(enveloped(strings.Join(list, ","))), "", customChannel(), noon)
	if err != nil || len(got) != 100 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	for i, e := range got {
		if id := e.Data.(domain.MessageReceived).ExternalID; id != fmt.Sprintf("m%d", i) {
			t.Fatalf("event %d is %s", i, id)
		}
	}
}

// ordinary is the sample of section 3.2.
const ordinary = `{
  "channelId": "620418",
  "contactId": "+351912345678",
  "events": [
    {
      "type": "message",
      "mId": "prov-000017",
      "timestamp": 1767261600000,
      "message": { "type": "text", "text": "Is the shop open today?" }
    }
  ],
  "contact": {
    "firstName": "Marta",
    "lastName": "Lopes",
    "profilePic": "https://img.example.net/u/marta.jpg",
    "locale": "pt_PT",
    "countryCode": "PT",
    "timezone": 0,
    "email": "marta@example.net",
    "phone": "+351912345678",
    "language": "pt"
  }
}`

func BenchmarkDecode(b *testing.B) {
	ch := phoneChannel()
	body := []byte(ordinary)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := decode(body, "", ch, noon); err != nil {
			b.Fatal(err)
		}
	}
}
