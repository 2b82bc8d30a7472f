//go:build mutations

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
)

// dialectTemplates are the requests of integrations, and of nobody in particular.
func (w *mutationWorld) dialectTemplates(s *templates) {
	for _, path := range []string{"/custom/channel/webhook/", "/custom/channel/webhook", "/custom/channel/webhook/{id}", "/custom/webhook"} {
		s.add("respond.io "+path, 45, func(rng *rand.Rand, w *mutationWorld) *mutant { return w.respondRequest(rng, path) })
	}
	for _, path := range []string{"/{id}", "/{id}/", "/api/v3/{id}", "/api/v3/botService/callback/{id}"} {
		s.add("kit event "+path, 45, func(rng *rand.Rand, w *mutationWorld) *mutant {
			m := kitRequest(rng, strings.Replace(path, "{id}", w.sender.kitID, 1))
			m.header("Authorization", "Bearer "+w.sender.access)
			m.tree = parsed(kitInbound(rng))
			return m
		})
	}
	s.add("kit login", 45, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := kitRequest(rng, kitLogin)
		m.query = []field{{"access_token", url.QueryEscape(w.sender.kitSecret)}, {"domain", "acme"}}
		m.form(rng, field{"channel_uuid", w.sender.kitID})
		return m
	})
	s.add("kit refresh", 45, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := kitRequest(rng, kitRefresh)
		m.form(rng, field{"refresh_token", w.sender.refresh})
		return m
	})
	s.add("kit answer of a function", 30, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := kitRequest(rng, "/api/v3/botService/sendResponse")
		told, _ := w.sender.stub.asked.Load().(string)
		if rng.IntN(4) == 0 {
			told = oneOf(rng, w.victim.ids["conversations"]...)
		}
		m.query = []field{{"conversation_uuid", told}}
		m.tree = parsed(`{"text":"hi","payload":[{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":1}}],"variables":{"a":"b"}}`)
		return m
	})
	s.add("kit event with the victim's token", 20, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := kitRequest(rng, "/"+w.sender.kitID)
		m.header("Authorization", "Bearer "+w.victim.access)
		m.tree, m.stranger, m.fixed = parsed(kitInbound(rng)), true, true
		return m
	})
	s.add("kit event at the victim's channel", 20, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := kitRequest(rng, "/"+w.victim.kitID)
		m.header("Authorization", "Bearer "+oneOf(rng, w.sender.access, w.victim.refresh, w.sender.refresh))
		m.tree, m.stranger, m.fixed = parsed(kitInbound(rng)), true, true
		return m
	})
	s.add("respond.io at the victim's channel", 20, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := w.respondRequest(rng, "/custom/channel/webhook/"+w.victim.doorID)
		m.stranger, m.fixed = true, true
		return m
	})
	s.add("pages and probes", 20, func(rng *rand.Rand, _ *mutationWorld) *mutant {
		return &mutant{area: "other", method: http.MethodGet, path: oneOf(rng, "/", "/docs", "/healthz", "/readyz", "/v1/openapi.json", "/metrics", "/console/",
			"/files/aaaaaaaaaaaaaaaaaaaaaaaaaa/a.txt", "/files/../../secret-key", "/robots.txt")}
	})
}

// respondRequest posts a body of the dialect.
func (w *mutationWorld) respondRequest(rng *rand.Rand, path string) *mutant {
	id, token, contact := w.sender.doorID, w.sender.door, fmt.Sprintf("client_%d", rng.IntN(200))
	if rng.IntN(3) == 0 {
		id, token, contact = w.sender.ismID, w.sender.ism, fmt.Sprintf("+1555%04d", rng.IntN(200))
	}
	m := &mutant{area: "respondio", method: http.MethodPost, path: strings.Replace(path, "{id}", id, 1)}
	m.header("Authorization", "Bearer "+token)
	m.header("Content-Type", "application/json")
	message := oneOf(rng,
		`{"type":"text","text":"hello"}`, `{"type":"location","latitude":38.7,"longitude":-9.1,"address":"Lisbon"}`,
		`{"type":"quick_reply","title":"Which?","replies":["a","b"]}`,
		`{"type":"attachment","attachment":{"type":"image","url":"https://example.com/a.png","fileName":"a.png","mimeType":"image/png","description":"d"}}`)
	event := oneOf(rng,
		fmt.Sprintf(`{"type":"message","mId":"m-%d","timestamp":1767261600000,"message":%s}`, rng.Uint64(), message),
		fmt.Sprintf(`{"type":"message","mId":%d,"timestamp":"1767261600","message":%s}`, rng.Uint32(), message),
		fmt.Sprintf(`{"type":"message_echo","mId":"e-%d","timestamp":1767261600000,"message":%s}`, rng.Uint64(), message),
		`{"type":"message_status","mId":"plain-1","timestamp":1767261600000,"status":{"value":"read"}}`,
		`{"type":"message_status","mId":"plain-1","timestamp":1767261600000,"status":{"value":"failed","message":"no such number"}}`)
	m.tree = parsed(fmt.Sprintf(`{"channelId":%q,"contactId":%q,"contact":{"firstName":"Jana","lastName":"Novak","email":"jana@example.com","phone":"+15550100",`+
		`"countryCode":"CZ","language":"cs","profilePic":"https://example.com/p.png"},"events":[%s]}`, id, contact, event))
	return m
}

func kitRequest(_ *rand.Rand, path string) *mutant {
	m := &mutant{area: "kit", method: http.MethodPost, path: path}
	m.header("Accept", "application/json")
	m.header("Content-Type", "application/json")
	return m
}

// kitInbound is an event of a new message of some client.
func kitInbound(rng *rand.Rand) string {
	text := strings.NewReplacer("u-20417", fmt.Sprintf("u-%d", rng.IntN(200)), "msg-0001", fmt.Sprintf("msg-%d", rng.Uint64()),
		"5e2b8f14-0c3d-4b6a-9e21-6d7f8091a2b3", fmt.Sprintf("event-%d", rng.Uint64())).Replace(kitExample)
	return strings.Replace(text, `[{"type": "photo"`, oneOf(rng, `[{"type":"location","latitude":1.5,"longitude":2},{"type": "photo"`,
		`[{"type":"contact","number":"+15550100","name":"x"},{"type": "photo"`, `[{"type": "photo"`), 1)
}

// form puts a field into the body in one of the forms that are taken.
func (m *mutant) form(rng *rand.Rand, f field) {
	kind := "application/x-www-form-urlencoded"
	switch rng.IntN(3) {
	case 0:
		m.tree = []field{f}
		return
	case 1:
		m.body = []byte(url.Values{f.name: {f.text()}}.Encode())
	default:
		kind = "multipart/form-data; boundary=bbbb"
		m.body = []byte("--bbbb\r\nContent-Disposition: form-data; name=\"" + f.name + "\"\r\n\r\n" + f.text() + "\r\n--bbbb--\r\n")
	}
	m.headers[len(m.headers)-1].value = kind
}

// parsed reads JSON into objects that keep the order and may hold a name twice.
func parsed(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var read func() any
	read = func() any {
		token, err := d.Token()
		if err != nil {
			return verbatim(text)
		}
		switch token {
		case json.Delim('{'):
			out := []field{}
			for d.More() {
				name, _ := d.Token()
				out = append(out, field{fmt.Sprint(name), read()})
			}
			_, _ = d.Token()
			return out
		case json.Delim('['):
			out := []any{}
			for d.More() {
				out = append(out, read())
			}
			_, _ = d.Token()
			return out
		}
		return token
	}
	return read()
}

// written gives the text of a tree.
func (m *mutant) text(b *strings.Builder, v any) {
	switch v := v.(type) {
	case verbatim:
		b.WriteString(string(v))
	case []field:
		b.WriteByte('{')
		for i, f := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			m.text(b, f.name)
			b.WriteByte(':')
			m.text(b, f.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			m.text(b, e)
		}
		b.WriteByte(']')
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte("null")
		}
		b.Write(raw)
	}
}
