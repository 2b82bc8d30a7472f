package voximplant

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
)

// full is the example of section 4.1.
const full = `{
  "client_data": {
    "client_id": "u-20417",
    "client_phone": "+420601000111",
    "client_avatar": "https://files.acme.example/a/20417.png",
    "client_display_name": "Jana Novak",
    "client_email": "jana@acme.example",
    "client_language": "cs",
    "utm": {
      "source": "newsletter",
      "campaign": "spring",
      "content": "banner-2",
      "medium": "email",
      "term": "boots"
    },
    "page": {
      "url": "https://shop.acme.example/boots",
      "title": "Boots"
    },
    "location": {
      "latitude": 50.0875,
      "longitude": 14.4213,
      "country": "Czechia",
      "country_code": "CZ",
      "region": "Prague",
      "region_code": "PR",
      "city": "Prague",
      "ip_address": "192.0.2.17"
    },
    "device": {
      "type": "mobile",
      "model": "Pixel 9",
      "user_agent": "Mozilla/5.0 (Linux; Android 15)"
    }
  },
  "event_id": "5e2b8f14-0c3d-4b6a-9e21-6d7f8091a2b3",
  "event_type": "send_message",
  "event_data": {
    "message": {
      "message_id": "msg-0001",
      "text": "Are these in stock?",
      "payload": [
        {
          "type": "photo",
          "file_name": "boots.jpg",
          "file_url": "https://files.acme.example/m/boots.jpg"
        }
      ]
    }
  }
}`

// asPHP is what the public PHP client makes of a message: pretty-printed, all that
// is not ASCII and every slash escaped, and neither payload nor profile blocks.
const asPHP = `{
    "client_data": {
        "client_id": "u-20417",
        "client_avatar": "https:\/\/files.acme.example\/a.png",
        "client_display_name": "Jana Nov\u00e1kov\u00e1"
    },
    "event_id": "e-1",
    "event_type": "send_message",
    "event_data": {
        "message": {
            "message_id": "m-1",
            "text": "Dobr\u00fd den \ud83d\ude00\n\"ano\" \\ \/ \b\f\r\t\u20ac"
        }
    }
}`

func read(t testing.TB, body string) (domain.Event, domain.MessageReceived) {
	t.Helper()
	e, err := decode([]byte(body), channel(acme, channelA), noon)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	d, ok := e.Data.(domain.MessageReceived)
	if !ok {
		t.Fatalf("%T", e.Data)
	}
	return e, d
}

// Ensure the full example is read whole.
func TestDecodeFull(t *testing.T) {
	t.Parallel()
	e, got := read(t, full)
	want := domain.MessageReceived{
		MessageID:      domain.EventMessageID(channelA, "u-20417", "5e2b8f14-0c3d-4b6a-9e21-6d7f8091a2b3", "msg-0001"),
		ConversationID: domain.ConversationID(channelA, "u-20417"), ContactID: domain.ContactID(channelA, "u-20417"),
		ExternalID: "msg-0001", SentAt: noon,
		Content: domain.Content{Type: domain.ContentText, Text: "Are these in stock?", Attachments: []domain.Item{
			{Type: domain.ItemImage, FileName: "boots.jpg", URL: "https://files.acme.example/m/boots.jpg"},
		}},
		Profile: &domain.Profile{
			Phone: "+420601000111", PictureURL: "https://files.acme.example/a/20417.png", DisplayName: "Jana Novak",
			Email: "jana@acme.example", Language: "cs",
			Visit: &domain.Visit{
				UTM:     domain.Texts{"source": "newsletter", "campaign": "spring", "content": "banner-2", "medium": "email", "term": "boots"},
				PageURL: "https://shop.acme.example/boots", PageTitle: "Boots", Latitude: new(50.0875), Longitude: new(14.4213),
				Country: "Czechia", CountryCode: "CZ", Region: "Prague", RegionCode: "PR", City: "Prague", IPAddress: "192.0.2.17",
				DeviceType: "mobile", DeviceModel: "Pixel 9", UserAgent: "Mozilla/5.0 (Linux; Android 15)",
			},
		},
		Terms: &domain.Terms{Queue: 4, Wait: 60, CloseAfter: 3600, BotClose: 600},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e.ID != want.MessageID || e.Time != noon || e.ContactRef != "u-20417" || e.Account != acme {
		t.Errorf("%+v", e)
	}
}

// Ensure what the PHP client posts is read as it was meant.
func TestDecodePHP(t *testing.T) {
	t.Parallel()
	_, got := read(t, asPHP)
	if want := "Dobrý den 😀\n\"ano\" \\ / \b\f\r\t€"; got.Content.Text != want {
		t.Errorf("%q, want %q", got.Content.Text, want)
	}
	if got.Profile == nil || got.Profile.DisplayName != "Jana Nováková" || got.Profile.PictureURL != "https://files.acme.example/a.png" {
		t.Errorf("%+v", got.Profile)
	}
}

// with changes the minimal event.
func with(from, to string) string {
	if !strings.Contains(minimal, from) {
		return "nothing to replace: " + from
	}
	return strings.Replace(minimal, from, to, 1)
}

// said puts members into the message of the minimal event.
func says(members string) string { return with(`"message_id":"m-1"`, `"message_id":"m-1",`+members) }

// told puts members into the client of the minimal event.
func knows(members string) string {
	return with(`"client_id":"u-20417"`, `"client_id":"u-20417",`+members)
}

func a(n int) string { return strings.Repeat("a", n) }

// Ensure ids are told apart by all four parts of section 4.6, and numbers are
// their decimal text.
func TestDecodeIDs(t *testing.T) {
	t.Parallel()
	first, _ := read(t, minimal)
	if again, _ := read(t, " \n"+minimal+"\n"); again.ID != first.ID {
		t.Error("a repeat has another id")
	}
	for name, body := range map[string]string{
		"message": with(`"m-1"`, `"m-2"`), "event": with(`"e-1"`, `"e-2"`), "client": with("u-20417", "u-20418"),
	} {
		if other, _ := read(t, body); other.ID == first.ID {
			t.Errorf("another %s has the same id", name)
		}
	}
	for raw, want := range map[string]string{
		`777`: "777", `-5`: "-5", `12345678901234567890123`: "12345678901234567890123", `1.50`: "1.50", `"` + a(255) + `"`: a(255),
		`"a b\/ü\u0000"`: "a b/ü\uFFFD", `" "`: " ", `"%2F"`: "%2F", `"\ud83d"`: "\uFFFD", "\"\xff\"": "\uFFFD",
	} {
		if _, d := read(t, with(`"m-1"`, raw)); d.ExternalID != want {
			t.Errorf("message_id %s is %q", raw, d.ExternalID)
		}
		if e, _ := read(t, with(`"u-20417"`, raw)); e.ContactRef != want {
			t.Errorf("client_id %s is %q", raw, e.ContactRef)
		}
		read(t, with(`"e-1"`, raw))
	}
}

// Ensure the leniency of section 4.3 for messages.
func TestDecodeContent(t *testing.T) {
	t.Parallel()
	photo := `{"type":"photo","file_name":"p.jpg","file_url":"https://x.example/p.jpg"}`
	image := domain.Item{Type: domain.ItemImage, FileName: "p.jpg", URL: "https://x.example/p.jpg"}
	unsupported := func(raw string) domain.Item {
		return domain.Item{Type: domain.ItemUnsupported, Raw: json.RawMessage(raw)}
	}
	for name, c := range map[string]struct {
		members string
		text    string
		items   []domain.Item
	}{
		"nothing":                {`"x":1`, "", nil},
		"null":                   {`"text":null,"payload":null`, "", nil},
		"empty":                  {`"text":"","payload":[]`, "", nil},
		"a number for text":      {`"text":12.50`, "12.50", nil},
		"65536 bytes":            {`"text":"` + a(maxText) + `"`, a(maxText), nil},
		"zero":                   {`"text":"a\u0000b\\u0000"`, "a\uFFFDb\\u0000", nil},
		"lone surrogates":        {`"text":"\ud83d x \ude00\ud83d\u0041"`, "\uFFFD x \uFFFD\uFFFDA", nil},
		"surrogates turned":      {`"text":"\ude00\ud83d"`, "\uFFFD\uFFFD", nil},
		"not UTF-8":              {"\"text\":\"a\xff\xc3(\xe2\x82\"", "a\uFFFD\uFFFD(\uFFFD\uFFFD", nil},
		"not UTF-8, and escapes": {"\"text\":\"\xff\\n\xff\"", "\uFFFD\n\uFFFD", nil},
		"capital escapes":        {`"text":"\u00E9\uD83D\uDE00"`, "é😀", nil},
		"doubled keys":           {`"text":"one","text":"two"`, "two", nil},
		"escaped key":            {`"te\u0078t":"x"`, "x", nil},
		"another case":           {`"Text":"x"`, "", nil},
		"all kinds": {
			`"payload":[` + photo + `,{"type":"video","file_name":"v","file_url":"http://x.example/v"},{"type":"audio","file_url":"https://x.example/a","file_name":null},` +
				`{"type":"document","file_name":7,"file_url":"https://x.example/d"},{"type":"contact","name":"Showroom","number":420601000222,"avatar":""},` +
				`{"type":"location","latitude":"50.08","longitude":14.42,"address":"Main Street 1"}]`, "",
			[]domain.Item{
				image, {Type: domain.ItemVideo, FileName: "v", URL: "http://x.example/v"}, {Type: domain.ItemAudio, URL: "https://x.example/a"},
				{Type: domain.ItemFile, FileName: "7", URL: "https://x.example/d"}, {Type: domain.ItemContact, Name: "Showroom", Number: "420601000222"},
				{Type: domain.ItemLocation, Latitude: new(50.08), Longitude: new(14.42), Address: "Main Street 1"},
			},
		},
		"unknown kinds": {
			`"payload":[{"type":"sticker", "pack":"c<a>ts"},{},{"type":5},{"type":null},{"type":"Photo","file_url":"https://x.example/p"}]`, "",
			[]domain.Item{
				unsupported(`{"type":"sticker","pack":"c\u003ca\u003ets"}`), unsupported(`{}`), unsupported(`{"type":5}`), unsupported(`{"type":null}`),
				unsupported(`{"type":"Photo","file_url":"https://x.example/p"}`),
			},
		},
		"media that cannot be had": {
			`"payload":[{"type":"photo","file_name":"p.jpg"},{"type":"video","file_url":""},{"type":"audio","file_url":null},{"type":"document","file_url":true},{"type":"photo","file_url":"javascript:alert(1)"}]`, "",
			[]domain.Item{
				unsupported(`{"type":"photo","file_name":"p.jpg"}`), unsupported(`{"type":"video","file_url":""}`), unsupported(`{"type":"audio","file_url":null}`),
				unsupported(`{"type":"document","file_url":true}`), unsupported(`{"type":"photo","file_url":"javascript:alert(1)"}`),
			},
		},
		"places that are none": {
			`"payload":[{"type":"location","address":"x"},{"type":"location","latitude":"","longitude":1},{"type":"location","latitude":91,"longitude":1},{"type":"location","latitude":"NaN","longitude":1}]`, "",
			[]domain.Item{
				unsupported(`{"type":"location","address":"x"}`), unsupported(`{"type":"location","latitude":"","longitude":1}`),
				unsupported(`{"type":"location","latitude":91,"longitude":1}`), unsupported(`{"type":"location","latitude":"NaN","longitude":1}`),
			},
		},
		"what no store takes": {
			`"payload":[{"type":"x","a\u0000":"\u0000\ud800","n":1e999,"m":1e-999,"k":[0, -0.5e3, true]}]`, "",
			[]domain.Item{unsupported(`{"type":"x","a` + "\uFFFD" + `":"` + "\uFFFD\uFFFD" + `","n":"1e999","m":"1e-999","k":[0,-0.5e3,true]}`)},
		},
		"100 items": {`"payload":[` + strings.Repeat(photo+",", 99) + photo + `]`, "", func() (list []domain.Item) {
			for range 100 {
				list = append(list, image)
			}
			return list
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, d := read(t, says(c.members))
			want := domain.Content{Type: domain.ContentText, Text: c.text, Attachments: c.items}
			if diff := cmp.Diff(want, d.Content); diff != "" {
				t.Error(diff)
			}
			for _, i := range d.Content.Attachments {
				if len(i.Raw) > 0 && !json.Valid(i.Raw) {
					t.Errorf("%s", i.Raw)
				}
			}
		})
	}
}

// Ensure what is kept as it came is bounded in depth.
func TestDecodeDeep(t *testing.T) {
	t.Parallel()
	_, d := read(t, says(`"payload":[{"type":"x","deep":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}]`))
	raw := d.Content.Attachments[0].Raw
	if !json.Valid(raw) || strings.Contains(string(raw), strings.Repeat("[", maxKeptDepth)+"[\"") || !strings.Contains(string(raw), `["[`) {
		t.Errorf("%.100s", raw)
	}
}

// Ensure no profile field costs the message (sections 4.3 and 8.3).
func TestDecodeProfile(t *testing.T) {
	t.Parallel()
	visit := func(v domain.Visit) *domain.Profile { return &domain.Profile{Visit: &v} }
	for members, want := range map[string]*domain.Profile{
		`"x":1`: nil,
		`"client_phone":"","client_avatar":null,"client_email":"","utm":{},"page":null,"location":{"latitude":"","longitude":""},"device":{"type":""}`: nil,
		`"client_phone":420601000111`: {Phone: "420601000111"},
		`"client_phone":true,"client_avatar":[],"client_display_name":{},"client_email":false,"client_language":"cs"`: {Language: "cs"},
		`"utm":"x","page":[1],"location":5,"device":true,"client_language":"cs"`:                                      {Language: "cs"},
		`"utm":{"source":"a","medium":7,"term":true,"campaign":"","other":"x"}`:                                       visit(domain.Visit{UTM: domain.Texts{"source": "a", "medium": "7"}}),
		`"location":{"latitude":"50.5","longitude":" 14 ","city":"Prague"}`:                                           visit(domain.Visit{Latitude: new(50.5), Longitude: new(float64(14)), City: "Prague"}),
		`"location":{"latitude":0,"longitude":1e999}`:                                                                 visit(domain.Visit{Latitude: new(float64(0))}),
		`"location":{"latitude":"x","longitude":true}`:                                                                nil,
		`"location":{"latitude":90.5,"longitude":-180}`:                                                               visit(domain.Visit{Longitude: new(float64(-180))}),
		`"page":{"url":"/boots","title":{}}`:                                                                          visit(domain.Visit{PageURL: "/boots"}),
		`"client_display_name":"` + strings.Repeat("ü", 1500) + `"`:                                                   {DisplayName: strings.Repeat("ü", 1000)},
		`"client_display_name":"a\u0000b"`:                                                                            {DisplayName: "a\uFFFDb"},
	} {
		if _, d := read(t, knows(members)); !cmp.Equal(want, d.Profile) {
			t.Errorf("%.100s: %s", members, cmp.Diff(want, d.Profile))
		}
	}
}

// Ensure what section 8.3 refuses is refused, with the field's path.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	photo := `{"type":"photo","file_url":"https://x.example/p.jpg"}`
	for _, c := range []struct{ body, want string }{
		{"", "body must not be empty"},
		{" \n", "body must not be empty"},
		{"{", "body must be JSON"},
		{minimal + "x", "body must be JSON"},
		{minimal + minimal, "body must be JSON"},
		{"[]", "body must be a JSON object"},
		{"null", "body must be a JSON object"},
		{`"x"`, "body must be a JSON object"},
		{"{}", "client_data is required"},
		{`{"client_data":null}`, "client_data is required"},
		{`{"client_data":"x"}`, "client_data must be an object"},
		{`{"client_data":[]}`, "client_data must be an object"},
		{with(`"client_id":"u-20417"`, ``), "client_data.client_id is required"},
		{with(`"u-20417"`, `null`), "client_data.client_id is required"},
		{with(`"u-20417"`, `""`), "client_data.client_id must not be empty"},
		{with(`"u-20417"`, `true`), "client_data.client_id must be a string"},
		{with(`"u-20417"`, `["x"]`), "client_data.client_id must be a string"},
		{with(`"u-20417"`, `{}`), "client_data.client_id must be a string"},
		{with(`"u-20417"`, `"`+a(256)+`"`), "client_data.client_id must be at most 255 bytes"},
		{with(`"u-20417"`, `"`+strings.Repeat("ü", 128)+`"`), "client_data.client_id must be at most 255 bytes"},
		{with(`"event_id":"e-1",`, ``), "event_id is required"},
		{with(`"e-1"`, `""`), "event_id must not be empty"},
		{with(`"e-1"`, `false`), "event_id must be a string"},
		{with(`"e-1"`, `"`+a(256)+`"`), "event_id must be at most 255 bytes"},
		{with(`"event_type":"send_message",`, ``), "event_type is required"},
		{with(`"send_message"`, `"close_conversation"`), "event_type must be send_message"},
		{with(`"send_message"`, `"assign_conversation"`), "event_type must be send_message"},
		{with(`"send_message"`, `5`), "event_type must be send_message"},
		{with(`"send_message"`, `{}`), "event_type must be a string"},
		{with(`{"message":{"message_id":"m-1"}}`, `null`), "event_data is required"},
		{with(`{"message":{"message_id":"m-1"}}`, `"x"`), "event_data must be an object"},
		{with(`{"message":{"message_id":"m-1"}}`, `{}`), "event_data.message is required"},
		{with(`{"message_id":"m-1"}`, `[]`), "event_data.message must be an object"},
		{with(`"message_id":"m-1"`, ``), "event_data.message.message_id is required"},
		{with(`"m-1"`, `""`), "event_data.message.message_id must not be empty"},
		{with(`"m-1"`, `true`), "event_data.message.message_id must be a string"},
		{with(`"m-1"`, `"`+a(256)+`"`), "event_data.message.message_id must be at most 255 bytes"},
		{says(`"text":true`), "event_data.message.text must be a string"},
		{says(`"text":{}`), "event_data.message.text must be a string"},
		{says(`"text":"` + a(maxText+1) + `"`), "event_data.message.text must be at most 65536 bytes"},
		{says(`"payload":{}`), "event_data.message.payload must be an array"},
		{says(`"payload":"x"`), "event_data.message.payload must be an array"},
		{says(`"payload":[` + photo + `,"x"]`), "event_data.message.payload[1] must be an object"},
		{says(`"payload":[null]`), "event_data.message.payload[0] must be an object"},
		{says(`"payload":[` + strings.Repeat(photo+",", 100) + photo + `]`), "event_data.message.payload must hold at most 100 items"},
	} {
		_, err := decode([]byte(c.body), channel(acme, channelA), noon)
		if domain.CodeOf(err) != domain.CodeInvalid || err.Error() != c.want {
			t.Errorf("%.120s: %v, want %s", c.body, err, c.want)
		}
	}
}

// Ensure a byte order mark does not cost the message.
func TestDecodeMark(t *testing.T) {
	t.Parallel()
	read(t, "\xEF\xBB\xBF"+minimal)
}

func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{"full": full, "php": asPHP} {
		b.Run(name, func(b *testing.B) {
			ch := channel(acme, channelA)
			body := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := decode(body, ch, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
