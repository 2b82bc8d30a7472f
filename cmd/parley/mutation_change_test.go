//go:build mutations

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"unicode/utf16"
)

// change is one way to spoil a request; false: it does not apply to this one.
type change struct {
	name string
	do   func(rng *rand.Rand, w *mutationWorld, m *mutant) bool
}

// changes are weighed by how often they are here.
func changes() []change {
	return []change{
		{"json", changeTree},
		{"json", changeTree},
		{"json", changeTree},
		{"json", changeTree},
		{"json", changeTree},
		{"bytes", changeBytes},
		{"bytes", changeBytes},
		{"body", changeBody},
		{"content-type", changeContentType},
		{"method", changeMethod},
		{"path", changePath},
		{"path", changePath},
		{"query", changeQuery},
		{"query", changeQuery},
		{"header", changeHeader},
		{"header", changeHeader},
		{"credentials", changeCredentials},
		{"credentials", changeCredentials},
		{"framing", changeFraming},
		{"brackets", changeForm},
		{"brackets", changeForm},
	}
}

// mutate spoils a request in one to three ways; one in thirty stays as it is.
func (w *mutationWorld) mutate(rng *rand.Rand, m *mutant) {
	var late []change
	if rng.IntN(30) > 0 {
		for range 1 + rng.IntN(3)*rng.IntN(2) {
			c := oneOf(rng, changes()...)
			switch c.name {
			case "bytes", "body", "framing":
				late = append(late, c) // of the body's text, which is not there yet
				continue
			}
			if c.do(rng, w, m) {
				m.spoilt = append(m.spoilt, c.name)
			}
		}
	}
	if m.sentAs != "" {
		m.body = m.encodeForm(rng)
	} else if m.tree != nil {
		var b strings.Builder
		m.text(&b, m.tree)
		m.body = []byte(b.String())
	}
	for _, c := range late {
		if c.do(rng, w, m) {
			m.spoilt = append(m.spoilt, c.name)
		}
	}
	w.spare(rng, m)
}

// spare keeps what all requests rest on: it is not removed, not changed, and its
// secrets stay. The operator does nothing to the two accounts.
func (w *mutationWorld) spare(rng *rand.Rand, m *mutant) {
	if m.method == http.MethodDelete || m.method == http.MethodPatch || strings.Contains(m.path, "rotate") {
		for _, kind := range []string{"channels", "tokens", "api-tokens", "queues", "agents", "functions", "topic-sets"} {
			for _, id := range w.sender.ids[kind] {
				if strings.Contains(m.path, "/"+kind+"/"+id) {
					m.path = strings.Replace(m.path, "/"+kind+"/"+id, "/"+kind+"/"+w.id(rng, kind, true), 1)
				}
			}
		}
	}
	w.spareOffice(m)
	if m.operator && (strings.Contains(m.path, "acme") || strings.Contains(m.path, "umbra")) {
		m.path = "/v1/accounts/spare"
	}
}

// slot is a place in a tree that can be given another value.
type slot struct {
	set   func(any)
	value any
	inner *[]field // of an object: its members
	put   func([]field)
}

// slots lists all places of a tree.
func slots(v any, set func(any), out []slot) []slot {
	s := slot{set: set, value: v}
	switch v := v.(type) {
	case []field:
		s.inner = &v
		s.put = func(f []field) { set(f) }
		out = append(out, s)
		for i := range v {
			out = slots(v[i].value, func(x any) { v[i].value = x }, out)
		}
		return out
	case []any:
		out = append(out, s)
		for i := range v {
			out = slots(v[i], func(x any) { v[i] = x }, out)
		}
		return out
	}
	return append(out, s)
}

// changeTree changes one place of a JSON body.
func changeTree(rng *rand.Rand, w *mutationWorld, m *mutant) bool {
	if m.tree == nil {
		return false
	}
	s := oneOf(rng, slots(m.tree, func(v any) { m.tree = v }, nil)...)
	if s.inner != nil && len(*s.inner) > 0 && rng.IntN(2) == 0 {
		members := append([]field(nil), *s.inner...)
		i := rng.IntN(len(members))
		switch rng.IntN(6) {
		case 0:
			members = append(members[:i], members[i+1:]...)
		case 1:
			members = append(members, field{members[i].name, w.oddValue(rng, members[i].value)})
		case 2:
			members = append([]field{{members[i].name, w.oddValue(rng, members[i].value)}}, members...)
		case 3:
			members[i].name = oneOf(rng, strings.ToUpper(members[i].name), members[i].name+"\x00", "", "$ref", "__proto__", strings.Repeat("n", 70000), members[i].name+" ")
		case 4:
			members = append(members, field{oneOf(rng, "id", "account", "created_at", "role", "x", "constructor", "channel_uuid", "channel_id"), w.oddValue(rng, "x")})
		default:
			members[i].value, members[rng.IntN(len(members))].value = members[rng.IntN(len(members))].value, members[i].value
		}
		s.put(members)
		return true
	}
	s.set(w.oddValue(rng, s.value))
	return true
}

// oddValue gives something to stand where a value was.
func (w *mutationWorld) oddValue(rng *rand.Rand, was any) any {
	text, _ := was.(string)
	switch rng.IntN(7) {
	case 0: // another type
		return oneOf[any](rng, nil, true, false, 0, 1, "", []any{}, []field{}, []any{nil}, []any{was}, []any{was, was}, []field{{"a", was}}, verbatim(`""`))
	case 1: // a number
		return oneOf[any](rng, verbatim("-1"), verbatim("1e999"), verbatim("-1e999"), verbatim("9223372036854775807"), verbatim("9223372036854775808"),
			verbatim("-9223372036854775809"), verbatim("1.5"), verbatim("-0"), verbatim("1e-400"), verbatim("0.1e1"), verbatim("2147483648"),
			verbatim("253402300800000"), verbatim("-62135596800001"), verbatim("1"+strings.Repeat("0", 5000)), verbatim("NaN"), verbatim("01"), verbatim("0x10"),
			verbatim("99999999999999999999999999999999999999"))
	case 2: // a text that is hard to keep
		return oneOf[any](rng, verbatim(`"\u0000"`), verbatim(`"a\u0000b"`), verbatim(`"\ud800"`), verbatim(`"\udc00\ud800"`), verbatim("\"\xff\xfe\""), verbatim("\"a\x00b\""),
			verbatim("\"\xed\xa0\x80\""), verbatim("\"\xf8\x88\x80\x80\x80\""), "\u202e\u200b\ufeff", "😀👩‍👩‍👧‍👦", "\u0000"+text, text+"\u0000", verbatim(`"\x"`), verbatim(`"`),
			"\u2028\u2029", "%00", "'; drop table messages; --", "%s%n{{.}}${jndi:x}", "\r\nSet-Cookie: a=b", "\ufffe\uffff", strings.Repeat("a\u0301", 3000))
	case 3: // a long one, or a deep one
		return oneOf[any](rng, strings.Repeat("x", oneOf(rng, 51, 256, 2001, 4097, 9000, 65537, 300000)), strings.Repeat("😀", oneOf(rng, 50, 255, 1000, 30000)),
			verbatim(strings.Repeat("[", 9000)+strings.Repeat("]", 9000)), verbatim(strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat("}", 9000)),
			verbatim(strings.Repeat("[", 200000)), verbatim("["+strings.Repeat("0,", 20000)+"0]"), verbatim("["+strings.Repeat("{},", 20000)+"{}]"), strings.Repeat(" ", 3000),
			verbatim(`"`+strings.Repeat(`\u0041`, 20000)+`"`))
	case 4: // what is another's
		kind := oneOf(rng, sorted(w.victim.ids)...)
		return oneOf[any](rng, oneOf(rng, w.victim.ids[kind]...), w.victim.kitID, w.victim.doorID, oneOf(rng, w.sender.ids[kind]...), "umbra", "acme", "default",
			verbatim(oneOf(rng, w.victim.ids["queues"]...)), verbatim("2"), verbatim("3"))
	case 5: // what means something
		return oneOf[any](rng, "http://169.254.169.254/latest", "http://[::1]:1/", "file:///etc/passwd", "https://", "http://user:pass@127.0.0.1:1/", "http://127.0.0.1:1/", "javascript:alert(1)",
			"http://a b/", "http://%zz/", "-1s", "0s", "1ns", "99999999h", "1e9h", "2562047h47m16.854775807s", "P1D", "../../../etc/passwd", ".", "..", "a/b", "0001-01-01T00:00:00Z",
			"10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "1969-12-31T23:59:59.999Z", "+0000000", "+155501001555010015550100", "message_echo", "message_status", "close_conversation",
			"typing", "attachment", "location", "quick_reply", "text", "image", "admin", "voximplant", "respondio", "agent", "queue", "read", "failed", "park")
	default: // nearly what it was
		if text == "" {
			return oneOf[any](rng, " ", "0", "null", "true", "[]", "-")
		}
		i := rng.IntN(len(text) + 1)
		return oneOf(rng, text[:i], text[:i]+" "+text[i:], text+text, strings.ToUpper(text), " "+text+" ", text+"\n", text[:i]+string(rune(rng.IntN(0x3000)))+text[i:])
	}
}

// changeBytes changes the text of a body.
func changeBytes(rng *rand.Rand, _ *mutationWorld, m *mutant) bool {
	if len(m.body) == 0 {
		m.body = []byte{byte(rng.IntN(256))}
		return true
	}
	body := bytes.Clone(m.body)
	for range 1 + rng.IntN(4) {
		i := rng.IntN(len(body))
		j := min(len(body), i+1+rng.IntN(8))
		switch rng.IntN(6) {
		case 0:
			body[i] ^= 1 << rng.IntN(8)
		case 1:
			body[i] = byte(rng.IntN(256))
		case 2:
			body = append(body[:i:i], body[j:]...)
		case 3:
			body = append(body[:j:j], body[i:]...)
		case 4:
			body = append(body[:i:i], append([]byte(oneOf(rng, "\x00", "\xff", "\"", "}", "{", "[", ",", ":", "\\", "\\u0000", "\\ud83d", "null", "1e9", "/*x*/", "\xef\xbb\xbf")), body[i:]...)...)
		default:
			body = body[:i]
		}
		if len(body) == 0 {
			break
		}
	}
	m.body = body
	return true
}

// changeBody puts something else in the body's place.
func changeBody(rng *rand.Rand, _ *mutationWorld, m *mutant) bool {
	switch rng.IntN(14) {
	case 0:
		m.body = nil
	case 1:
		m.body = append([]byte("\xef\xbb\xbf"), m.body...)
	case 2:
		m.body = append(append([]byte(nil), m.body...), m.body...)
	case 3:
		wide := utf16.Encode([]rune(string(m.body)))
		out := []byte{0xff, 0xfe}
		for _, u := range wide {
			out = append(out, byte(u), byte(u>>8))
		}
		m.body = out
	case 4:
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(m.body)
		_ = z.Close()
		m.body = out.Bytes()
		m.header("Content-Encoding", "gzip")
	case 5:
		m.body = []byte(oneOf(rng, "null", "[]", "{}", "\"\"", "0", "true", " ", "\x00", "<xml/>", "a=b", "{\"a\":1}{\"b\":2}", "\xff\xfe", "[[[[", "{\"\":"))
	case 6:
		m.body = []byte(strings.Repeat("[", 100000))
	case 7:
		m.body = append(append([]byte(nil), m.body...), bytes.Repeat([]byte(" "), oneOf(rng, 1000, 1<<20+1-len(m.body)%1000))...)
	case 8:
		m.body = bytes.Repeat([]byte("x"), oneOf(rng, 1<<10, 64<<10, 1<<20, 1<<20+1))
	case 9:
		if rng.IntN(20) > 0 { // now and then
			return false
		}
		m.body = bytes.Repeat([]byte(" "), oneOf(rng, 2<<20, 2<<20+1, 8<<20, 8<<20+1))
	case 10:
		m.body = []byte("--bbbb\r\n" + strings.Repeat("Content-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--bbbb\r\n", oneOf(rng, 1, 2000)) + oneOf(rng, "", "--bbbb--"))
		m.header("Content-Type", "multipart/form-data; boundary=bbbb")
	case 11:
		m.body = []byte(strings.Repeat("a=b&", oneOf(rng, 2, 20000)) + "%zz=%&;=")
		m.header("Content-Type", "application/x-www-form-urlencoded")
	case 12:
		m.body = []byte(`{"a":` + strings.Repeat(`{"a":`, 20000))
	default:
		random := make([]byte, rng.IntN(500))
		for i := range random {
			random[i] = byte(rng.IntN(256))
		}
		m.body = random
	}
	return true
}

func (m *mutant) replaceHeader(name, value string) {
	for i := range m.headers {
		if m.headers[i].name == name {
			m.headers[i].value = value
			return
		}
	}
	m.header(name, value)
}

func changeContentType(rng *rand.Rand, _ *mutationWorld, m *mutant) bool {
	m.replaceHeader("Content-Type", oneOf(rng, "", "text/plain", "application/xml", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "multipart/form-data",
		"multipart/form-data; boundary=", "multipart/form-data; boundary=\"", "application/cbor", "application/json;;;", "application/merge-patch+json", "json", "/", ";", "*/*",
		"application/octet-stream", "multipart/mixed; boundary="+strings.Repeat("b", 100), strings.Repeat("a/", 500), "application/problem+json", "APPLICATION/JSON", "\xff"))
	return true
}

func changeMethod(rng *rand.Rand, _ *mutationWorld, m *mutant) bool {
	m.method = oneOf(rng, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "PROPFIND", "X", strings.Repeat("M", 300), "GE\x00T", "PO ST", "")
	return true
}

// changePath changes one segment of a path.
func changePath(rng *rand.Rand, w *mutationWorld, m *mutant) bool {
	if m.fixed {
		return false
	}
	segments := strings.Split(m.path, "/")
	i := rng.IntN(len(segments))
	kind := oneOf(rng, sorted(w.victim.ids)...)
	if m.operator {
		segments[i] = oneOf(rng, "spare", "nobody", "%00", "%ff", "..", "", "%2f", "SPARE")
	} else {
		was := segments[i]
		segments[i] = oneOf(rng, oneOf(rng, w.victim.ids[kind]...), oneOf(rng, w.victim.ids[kind]...), oneOf(rng, w.victim.ids["conversations"]...),
			w.victim.doorID, w.victim.kitID, "umbra", "0", "-1", "9223372036854775808", "1e3", "%00", "%ff%fe", "..", ".", "%2e%2e", "%2f", "", "%5c..%5c",
			strings.Repeat("a", 300), strings.Repeat("a", 9000), "a b", "%zz", "a;b=c", "{id}", "null", "00000000-0000-0000-0000-000000000000", "%f0%9f%98%80", was+"/"+was, was+"%20",
			strings.ToUpper(was), was+"%00", was+"/", "messages", "close", "test", "redrive", "sendResponse")
	}
	m.path = strings.Join(segments, "/")
	if !strings.HasPrefix(m.path, "/") && rng.IntN(4) > 0 {
		m.path = "/" + m.path
	}
	return true
}

func changeQuery(rng *rand.Rand, w *mutationWorld, m *mutant) bool {
	value := func() string {
		return oneOf(rng, "", "0", "-1", "201", "9223372036854775808", "1e9", "%00", "%ff", "%zz", "+", "%20", "a;b", "null", strings.Repeat("9", 300), strings.Repeat("x", 5000),
			oneOf(rng, w.victim.cursors...), oneOf(rng, w.sender.cursors...), "0:0", "0:99999999999", "0:9223372036854775808", "99:0", "-1:-1", "0:", ":", "1:1:1",
			"2026-03-01T09:30:00+02:00", "0000-00-00", "9999-12-31T23:59:59.999999999Z", "10000-01-01", "%27%20or%201=1", "%25", "_%25_", "open", "dead", "true", "%f0%9f%98%80", "%ed%a0%80",
			w.victim.doorID, w.victim.kitID, oneOf(rng, w.victim.ids["contacts"]...), "AAAA", "%5c", "*", "eyJhIjoxfQ", "eyJhIjoxfQ==", "message", "message.")
	}
	if len(m.query) > 0 && rng.IntN(3) > 0 {
		i := rng.IntN(len(m.query))
		switch rng.IntN(5) {
		case 0:
			m.query = append(m.query[:i], m.query[i+1:]...)
		case 1:
			m.query = append(m.query, field{m.query[i].name, value()})
		default:
			m.query[i].value = value()
		}
		return true
	}
	for range oneOf(rng, 1, 1, 1, 2, 300) {
		m.query = append(m.query, field{oneOf(rng, "limit", "cursor", "channel", "contact", "status", "q", "from", "to", "stream", "type", "handler", "queue", "tag", "agent", "state", "kind",
			"name", "x", "", "%zz", "access_token", "domain", "channel_uuid", "conversation_uuid", "refresh_token", "page", "sort", "sort_by", "labels[]", "inbox_id", "team_id",
			"updated_within", "before", "after", "source_id", "identifier", "identifier_hash", "assignee_type", "content_attributes[a]", "account_id"), value()})
	}
	return true
}

func changeHeader(rng *rand.Rand, w *mutationWorld, m *mutant) bool {
	switch rng.IntN(16) {
	case 0:
		m.replaceHeader("Idempotency-Key", oneOf(rng, keyOf(rng.IntN(25)), "", "a b", "\xff", strings.Repeat("k", 256), strings.Repeat("k", 5000), "k\x01"))
	case 1:
		m.replaceHeader("Parley-Position", oneOf(rng, "0:0", "0:9223372036854775807", "99:1", "-1:0", "x", "0:0,1:1", strings.Repeat("0:0,", 2000), "", "\xff", "0:-1"))
	case 2:
		m.header("Traceparent", oneOf(rng, "00-"+strings.Repeat("a", 32)+"-"+strings.Repeat("b", 16)+"-01", "x", strings.Repeat("0", 5000), "\xff", "00-0-0-0", "\x7f"))
	case 3:
		m.header("Host", oneOf(rng, "evil.example", "", "a b", "[::1", "127.0.0.1:99999", "\xff"))
	case 4:
		m.header("Expect", oneOf(rng, "100-continue", "200-ok"))
	case 5:
		m.header("Range", oneOf(rng, "bytes=0-", "bytes=9-1", "bytes="+strings.Repeat("0-1,", 2000)))
	case 6:
		m.header("Accept", oneOf(rng, "application/xml", "application/cbor", "*/*;q=0", strings.Repeat("a/b,", 2000), "\xff", "text/html"))
	case 7:
		m.header("X-Big", strings.Repeat("x", oneOf(rng, 4000, 30000, 60000)))
	case 8:
		for i := range oneOf(rng, 50, 1500) {
			m.header(fmt.Sprintf("X-%d", i), "y")
		}
	case 9:
		m.header(oneOf(rng, "X-Http-Method-Override", "X-Forwarded-For", "X-Forwarded-Host", "X-Original-Url", "X-Real-Ip", "Forwarded"), oneOf(rng, "DELETE", "127.0.0.1", "/metrics", w.victim.name, "for=\"[\""))
	case 10:
		m.header("Accept-Encoding", oneOf(rng, "gzip, br, zstd", "identity;q=0", "\xff"))
	case 11:
		m.header("Last-Event-ID", oneOf(rng, "0:0", "x", "-1"))
	case 12:
		m.header("If-None-Match", oneOf(rng, "*", "\"\"", "\xff"))
	case 13:
		m.header("Bad Name", "x")
	case 14:
		m.header("Content-Encoding", oneOf(rng, "gzip", "br", "identity", "x"))
	default:
		m.header("Connection", oneOf(rng, "close", "upgrade", "Authorization", "keep-alive, x"))
		m.header("Upgrade", oneOf(rng, "websocket", "h2c", "x"))
	}
	return true
}

// changeCredentials takes the credentials away, or puts such in their place that
// open nothing here.
func changeCredentials(rng *rand.Rand, w *mutationWorld, m *mutant) bool {
	if m.fixed || m.operator || m.public || m.area == "other" || m.area == "cable" {
		return false
	}
	v := w.victim
	spoilt := func(s string) string {
		i := len(s) / 2
		other := byte('a')
		if s[i] == other {
			other = 'b'
		}
		return oneOf(rng, s[:i], s[i:], s[:len(s)-1], s+"x", s[:i]+string(other)+s[i+1:], s[:i]+"\x00"+s[i+1:], strings.Repeat(s, 40), "\xff"+s)
	}
	whole := []string{v.token, v.agent, v.reader, v.door, v.ism, v.kitSecret, v.refresh}
	misplaced := map[string][]string{
		"v1": {v.door, v.ism, v.kitSecret, v.access, v.refresh, w.sender.door, w.sender.kitSecret, w.sender.access}, "respondio": {v.token, v.agent, v.kitSecret, v.access, w.sender.token},
		"kit":      {v.token, v.reader, v.door, v.kitSecret, w.sender.token, w.sender.refresh},
		"channelx": {v.door, v.kitSecret, v.access, w.sender.door, w.sender.kitSecret, w.sender.access, w.sender.desk.hmacToken},
	}[m.area]
	token := spoilt(oneOf(rng, whole...))
	if rng.IntN(2) == 0 {
		token = oneOf(rng, misplaced...)
	}
	m.stranger = true
	if strings.HasPrefix(m.name, "kit login") {
		m.query = []field{{"access_token", escaped(token)}, {"domain", oneOf(rng, "umbra", "acme", "default", "", "%00")}}
		m.fixed = true
		return true
	}
	if strings.HasPrefix(m.name, "kit refresh") || strings.HasPrefix(m.name, "kit answer") {
		m.stranger = false // their credentials are elsewhere
	}
	if m.name == "GET /v1/openapi.json" {
		m.stranger = false
	}
	if m.area == "channelx" {
		m.headers = slices.DeleteFunc(m.headers, func(f field) bool {
			return f.name == "Authorization" || strings.EqualFold(strings.ReplaceAll(f.name, "_", "-"), "Api-Access-Token")
		})
	}
	if m.area == "channelx" && rng.IntN(3) > 0 {
		m.header(oneOf(rng, "api_access_token", "Api-Access-Token"), oneOf(rng, token, "", " "+token, token+","+token, "Bearer "+token))
		m.fixed = true
		return true
	}
	m.replaceHeader("Authorization", oneOf(rng, "Bearer "+token, "bearer  "+token, token, "Basic "+token, "Bearer "+token+","+token, "", "Bearer", "Bearer "+strings.Repeat("x", 20000)))
	m.fixed = true
	return true
}

// changeFraming sends the body otherwise.
func changeFraming(rng *rand.Rand, _ *mutationWorld, m *mutant) bool {
	m.framing = oneOf(rng, "chunked", "chunked", "chunked", "bytewise", "short", "long", "bad chunk", "both", "no length", "two lengths", "negative", "te gzip", "trailers", "http/1.0", "http/9.9", "bare lf")
	return true
}

// changeForm changes names with brackets in a form.
func changeForm(_ *rand.Rand, _ *mutationWorld, m *mutant) bool {
	if m.sentAs != "" {
		m.brackets++
	}
	return m.sentAs != ""
}
