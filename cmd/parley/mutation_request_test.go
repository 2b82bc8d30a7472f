//go:build mutations

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// mutant is a request, well-formed at first.
type mutant struct {
	number   int64
	name     string // of the template
	area     string // whose door it is: v1, respondio, kit, channelx, cable, other
	method   string
	path     string // escaped
	query    []field
	headers  []field
	tree     any // a body of JSON; nil when there is none
	body     []byte
	framing  string // how the body is sent; "" is with its length
	operator bool   // has the operator's token
	stranger bool   // has credentials that open nothing here
	fixed    bool   // path and credentials stay: they are what it is about
	cutOff   bool   // its connection is closed for writing once it is sent
	spoilt   []string

	sentAs    string // how the tree is sent; "" is as JSON
	files     []formFile
	brackets  int    // names of the form that are changed
	public    bool   // of ChannelX's client API, which has no credentials
	forbidden string // the method that its credentials may not use here
}

// field is a name and a value, of a header, a query or a JSON object.
type field struct {
	name  string
	value any
}

// text is the value of a header or a query.
func (f field) text() string { return f.value.(string) }

// verbatim is JSON, or what stands in its place, as it is sent.
type verbatim string

// target is the path with its query.
func (m *mutant) target() string {
	var parts []string
	for _, f := range m.query {
		parts = append(parts, f.name+"="+f.text())
	}
	if len(parts) == 0 {
		return m.path
	}
	return m.path + "?" + strings.Join(parts, "&")
}

func (m *mutant) header(name, value string) { m.headers = append(m.headers, field{name, value}) }

func (m *mutant) String() string {
	return fmt.Sprintf("  #%d %s %v: %.200q %.400q %.300q %s %.600q", m.number, m.name, m.spoilt, m.method, m.target(), fmt.Sprint(m.headers), m.framing, m.body)
}

// template makes a well-formed request.
type template struct {
	name   string
	weight int
	make   func(rng *rand.Rand, w *mutationWorld) *mutant
}

type templates struct {
	all   []template
	total int
}

func (s *templates) add(name string, weight int, build func(rng *rand.Rand, w *mutationWorld) *mutant) {
	s.total += weight
	s.all = append(s.all, template{name, weight, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := build(rng, w)
		m.name = name
		return m
	}})
}

func (s *templates) pick(rng *rand.Rand) template {
	n := rng.IntN(s.total)
	for _, tmpl := range s.all {
		if n -= tmpl.weight; n < 0 {
			return tmpl
		}
	}
	return s.all[0]
}

func oneOf[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// schemaDoc is what is read of the platform API's description.
type schemaDoc struct {
	Paths      map[string]map[string]schemaOperation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type schemaOperation struct {
	Parameters []struct {
		Name   string  `json:"name"`
		In     string  `json:"in"`
		Schema *schema `json:"schema"`
	} `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema *schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
}

type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Enum       []any              `json:"enum"`
	Examples   []any              `json:"examples"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	Items      *schema            `json:"items"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Additional any                `json:"additionalProperties"`
}

// templates reads the platform API's endpoints from its description and adds
// those of the dialects.
func (w *mutationWorld) templates(t *testing.T) *templates {
	t.Helper()
	var doc schemaDoc
	got := w.do(t, http.MethodGet, "/v1/openapi.json", nil, "")
	if err := json.Unmarshal(got.raw, &doc); err != nil || len(doc.Paths) < 20 {
		t.Fatalf("the description: %v, %d paths", err, len(doc.Paths))
	}
	s := &templates{}
	for _, path := range sorted(doc.Paths) {
		for _, method := range sorted(doc.Paths[path]) {
			op := doc.Paths[path][method]
			weight := 10
			if path == "/v1/events" {
				weight = 2 // it walks the log
			}
			s.add(strings.ToUpper(method)+" "+path, weight, func(rng *rand.Rand, w *mutationWorld) *mutant {
				return w.platformRequest(rng, &doc, strings.ToUpper(method), path, op)
			})
		}
	}
	w.dialectTemplates(s)
	w.channelxTemplates(s)
	return s
}

// platformRequest makes a request as the description has it.
func (w *mutationWorld) platformRequest(rng *rand.Rand, doc *schemaDoc, method, path string, op schemaOperation) *mutant {
	m := &mutant{area: "v1", method: method}
	m.operator = strings.HasPrefix(path, "/v1/accounts")
	spoils := method == http.MethodDelete || method == http.MethodPatch || strings.HasSuffix(path, "/rotate")
	var segments []string
	kind := ""
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "{id}":
			segment = w.id(rng, kind, spoils)
		case "{name}":
			segment = "spare"
		default:
			kind = segment
		}
		segments = append(segments, segment)
	}
	m.path = strings.Join(segments, "/")
	for _, p := range op.Parameters {
		switch {
		case p.In == "query" && rng.IntN(2) == 0, p.Name == "name" && p.In == "query":
			m.query = append(m.query, field{p.Name, url.QueryEscape(w.parameter(rng, p.Name, p.Schema))})
		case p.In == "header" && rng.IntN(4) == 0:
			m.header(p.Name, w.parameter(rng, p.Name, p.Schema))
		}
	}
	token := w.sender.token
	switch {
	case m.operator:
		token = testToken
	case !spoils && rng.IntN(8) == 0:
		token = oneOf(rng, w.sender.agent, w.sender.reader)
	}
	m.header("Authorization", "Bearer "+token)
	for kind, content := range op.RequestBody.Content {
		m.header("Content-Type", kind)
		if kind != "application/json" {
			m.body = []byte(strings.Repeat("some file ", rng.IntN(100)+1))
			continue
		}
		m.tree = w.value(rng, doc, path, content.Schema, 0)
	}
	return m
}

// parameter gives a value for a header or a query.
func (w *mutationWorld) parameter(rng *rand.Rand, name string, s *schema) string {
	switch name {
	case "cursor":
		if rng.IntN(3) > 0 {
			return ""
		}
		return oneOf(rng, w.sender.cursors...)
	case "channel":
		return w.id(rng, "channels", false)
	case "stream":
		return w.sender.doorID + "/client_1"
	case "from", "to":
		return oneOf(rng, "0:0", "1:5", "2026-03-01", "2026-03-01T09:30:00Z", "2026-03-01T09:30:00+02:00", "3:1")
	case "Parley-Position":
		return oneOf(rng, "0:0", "1:2")
	case "Idempotency-Key":
		if rng.IntN(4) == 0 {
			return keyOf(rng.IntN(20))
		}
		return fmt.Sprintf("key-%d", rng.Uint64())
	}
	text := fmt.Sprint(w.value(rng, &schemaDoc{}, "", s, 0))
	if len(s.Enum) == 0 && s.Type == "string" {
		text = oneOf(rng, "client_1", "hello", "petra", "+15550100")
	}
	return text
}

// value gives a value that a schema allows and, as far as names tell, that means
// something here.
func (w *mutationWorld) value(rng *rand.Rand, doc *schemaDoc, path string, s *schema, depth int) any {
	if s.Ref != "" {
		return w.value(rng, doc, path, doc.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]], depth+1)
	}
	if len(s.Enum) > 0 {
		return oneOf(rng, s.Enum...)
	}
	kind, _ := s.Type.(string)
	if list, ok := s.Type.([]any); ok {
		kind, _ = list[0].(string)
	}
	switch kind {
	case "object":
		if len(s.Properties) == 0 {
			return []field{{"order", "A-17"}, {"note", `{"a":1}`}}
		}
		return w.object(rng, doc, path, s, depth)
	case "array":
		list := []any{}
		for range rng.IntN(3) {
			list = append(list, w.value(rng, doc, path, s.Items, depth+1))
		}
		return list
	case "boolean":
		return rng.IntN(2) == 0
	case "integer", "number":
		least, most := 0.0, 10.0
		if s.Minimum != nil {
			least = *s.Minimum
		}
		if s.Maximum != nil {
			most = min(*s.Maximum, least+100)
		}
		return int64(least) + rng.Int64N(int64(most-least)+1)
	default:
		return fmt.Sprintf("text %d", rng.IntN(1000))
	}
}

// object gives an object with what is required and some of the rest.
func (w *mutationWorld) object(rng *rand.Rand, doc *schemaDoc, path string, s *schema, depth int) any {
	out := []field{}
	dialect := oneOf(rng, "respondio", "ismessenger", "voximplant")
	creates := path == "/v1/channels"
	for _, name := range sorted(s.Properties) {
		required := slices.Contains(s.Required, name)
		if !required && rng.IntN(3) > 0 && (!creates || !slices.Contains([]string{"callback_url", "redirect", "id_type"}, name)) {
			continue
		}
		var v any
		switch name {
		case "dialect":
			v = dialect
		case "id_type":
			if creates && dialect == "voximplant" {
				continue
			}
			v = oneOf[any](rng, "phone", "custom")
		case "redirect", "close_after", "bot_close_after", "security_salt", "skills", "topic_set_id", "use_tags", "api_token_id", "fallback_queue_id",
			"skip_tls_verify", "save_anyway", "disabled":
			if creates && dialect != "voximplant" {
				continue
			}
			v = w.named(rng, name)
		case "channel_uuid", "id":
			continue
		default:
			v = w.named(rng, name)
		}
		if v == nil {
			v = w.value(rng, doc, path, s.Properties[name], depth+1)
		}
		out = append(out, field{name, v})
	}
	return out
}

// named gives a value for what a name means, nil when it means nothing special.
func (w *mutationWorld) named(rng *rand.Rand, name string) any {
	switch name {
	case "callback_url", "url":
		return w.sender.stub.URL + oneOf(rng, "/respond", "/kit", "/function", "/broken")
	case "avatar":
		return "https://desk.example.com/a.png"
	case "email":
		return "petra@example.com"
	case "username", "value", "api_token", "security_salt", "name":
		return fmt.Sprintf("%s-%d", name, rng.IntN(100000))
	case "agent_id":
		return oneOf(rng, "petra", w.id(rng, "agents", false))
	case "channel_id":
		return w.id(rng, "channels", false)
	case "api_token_id":
		return w.id(rng, "api-tokens", false)
	case "queue_id", "fallback_queue_id", "function_id", "skill_id", "topic_set_id", "topic_id":
		return 1
	case "redirect":
		return oneOf[any](rng, []field{{"queue_id", 1}}, []field{{"function_id", 1}})
	case "queues", "tags":
		return []any{1}
	case "skills":
		return []any{[]field{{"skill_id", 1}, {"level", 3}}}
	case "contact_ref":
		return oneOf(rng, "client_1", "+15550100", fmt.Sprintf("client_%d", rng.IntN(1000)))
	case "schedule":
		return oneOf[any](rng, []any{}, []any{"1s", "5s"}, []any{"24h"})
	case "max_age":
		return oneOf(rng, "72h", "1h", "1m30s")
	case "disabled", "save_anyway":
		return oneOf(rng, false, false, false, true)
	default:
		return nil
	}
}

// ring keeps the newest ids of a kind that were made on the way.
type ring struct {
	ids [64]string
	n   int
}

// id gives an id of the sender's; one that may be spoilt is of what was made on
// the way, so that what all requests rest on stays.
func (w *mutationWorld) id(rng *rand.Rand, kind string, spoils bool) string {
	if spoils || rng.IntN(3) == 0 {
		w.freshly.Lock()
		defer w.freshly.Unlock()
		if r := w.fresh[kind]; r != nil {
			return r.ids[rng.IntN(min(r.n, len(r.ids)))]
		}
		if spoils {
			return "12345"
		}
	}
	if list := w.sender.ids[kind]; len(list) > 0 {
		return oneOf(rng, list...)
	}
	return "00000000-0000-0000-0000-000000000000"
}

// made notes the id of what an answer of 201 says was made.
func (w *mutationWorld) made(kind, id string) {
	w.freshly.Lock()
	defer w.freshly.Unlock()
	r := w.fresh[kind]
	if r == nil {
		r = &ring{}
		w.fresh[kind] = r
	}
	r.ids[r.n%len(r.ids)] = id
	r.n++
}
