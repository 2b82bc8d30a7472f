//go:build mutations

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
)

// channelxRoute is an endpoint of the application API or of the client API. A name
// in braces is a kind of ids.
type channelxRoute struct {
	pattern string
	weight  int
	spoils  bool // it takes only what was made on the way
	reads   bool // a POST that changes nothing
	body    func(rng *rand.Rand, w *mutationWorld) any
	query   []string
	files   string // the part's name
}

// The endpoints of the application API.
func channelxRoutes() []channelxRoute {
	talk := "/conversations/{cx-conversations}"
	contacts := []string{"page", "sort", "labels[]", "include_contact_inboxes", "q"}
	talks := []string{"status", "inbox_id", "assignee_type", "page", "labels[]", "team_id", "q", "source_id", "sort_by", "updated_within"}
	return []channelxRoute{
		{pattern: "GET /inboxes"}, {pattern: "GET /inboxes/{cx-inboxes}"}, {pattern: "POST /inboxes", body: inboxBody, files: "avatar"},
		{pattern: "PATCH /inboxes/{cx-inboxes}", spoils: true, body: inboxBody}, {pattern: "PUT /inboxes/{cx-inboxes}", spoils: true, body: inboxBody},
		{pattern: "DELETE /inboxes/{cx-inboxes}", spoils: true}, {pattern: "POST /inboxes/{cx-inboxes}/reset_secret", spoils: true},
		{pattern: "GET /contacts", query: contacts}, {pattern: "POST /contacts", weight: 40, body: contactBody, files: "avatar"},
		{pattern: "GET /contacts/search", query: contacts}, {pattern: "POST /contacts/filter", weight: 20, body: filterBody, reads: true, query: contacts},
		{pattern: "GET /contacts/{cx-contacts}"}, {pattern: "PATCH /contacts/{cx-contacts}", weight: 20, body: contactBody}, {pattern: "PUT /contacts/{cx-contacts}", body: contactBody},
		{pattern: "DELETE /contacts/{cx-contacts}", spoils: true}, {pattern: "POST /actions/contact_merge", body: mergeBody},
		{pattern: "GET /contacts/{cx-contacts}/conversations"}, {pattern: "POST /contacts/{cx-contacts}/contact_inboxes", body: linkBody},
		{pattern: "GET /contacts/{cx-contacts}/contactable_inboxes"}, {pattern: "POST /contact_inboxes/filter", body: linkBody, reads: true},
		{pattern: "GET /conversations", weight: 20, query: talks}, {pattern: "POST /conversations", weight: 30, body: conversationBody},
		{pattern: "GET /conversations/meta", query: talks}, {pattern: "POST /conversations/filter", weight: 20, body: filterBody, reads: true, query: []string{"page"}},
		{pattern: "GET " + talk}, {pattern: "PATCH " + talk, body: priorityBody}, {pattern: "PUT " + talk, body: priorityBody},
		{pattern: "POST " + talk + "/toggle_status", weight: 20, body: statusBody}, {pattern: "POST " + talk + "/toggle_priority", body: priorityBody},
		{pattern: "POST " + talk + "/toggle_typing_status", body: typingBody}, {pattern: "POST " + talk + "/assignments", weight: 20, body: assignBody},
		{pattern: "GET " + talk + "/labels"}, {pattern: "POST " + talk + "/labels", body: labelsBody}, {pattern: "POST " + talk + "/custom_attributes", body: customBody},
		{pattern: "POST " + talk + "/update_last_seen"}, {pattern: "POST " + talk + "/unread"},
		{pattern: "GET " + talk + "/messages", query: []string{"before", "after", "filter_internal_messages"}},
		{pattern: "POST " + talk + "/messages", weight: 80, body: messageBody, files: "attachments[]"},
		{pattern: "PATCH /conversations/{cx-posts}", weight: 20, body: failedBody}, {pattern: "PUT /conversations/{cx-posts}", body: failedBody},
		{pattern: "DELETE /conversations/{cx-posts}"}, {pattern: "POST /conversations/{cx-posts}/retry"},
		{pattern: "GET /labels"}, {pattern: "GET /contacts/{cx-contacts}/labels"}, {pattern: "POST /contacts/{cx-contacts}/labels", body: labelsBody},
		{pattern: "GET /agents"}, {pattern: "GET /teams"}, {pattern: "GET /inbox_members/{cx-inboxes}"},
		{pattern: "POST /inbox_members", body: membersBody}, {pattern: "PATCH /inbox_members", body: membersBody}, {pattern: "PUT /inbox_members", body: membersBody},
		{pattern: "DELETE /inbox_members", body: membersBody},
		{pattern: "GET /webhooks"}, {pattern: "POST /webhooks", body: webhookBody}, {pattern: "PATCH /webhooks/{cx-webhooks}", spoils: true, body: webhookBody},
		{pattern: "PUT /webhooks/{cx-webhooks}", spoils: true, body: webhookBody}, {pattern: "DELETE /webhooks/{cx-webhooks}", spoils: true},
	}
}

// The endpoints of the client API.
func channelxClientRoutes() []channelxRoute {
	proof := []string{"identifier", "identifier_hash"}
	return []channelxRoute{
		{pattern: "GET "}, {pattern: "POST /contacts", weight: 40, body: visitorBody, files: "avatar"},
		{pattern: "GET /contacts/{cx-sources}", query: proof}, {pattern: "PATCH /contacts/{cx-sources}", weight: 20, body: visitorBody},
		{pattern: "PUT /contacts/{cx-sources}", body: visitorBody},
		{pattern: "GET /contacts/{cx-sources}/conversations"}, {pattern: "POST /contacts/{cx-sources}/conversations", body: customBody},
		{pattern: "GET /contacts/{cx-talks}"}, {pattern: "POST /contacts/{cx-talks}/toggle_status"},
		{pattern: "POST /contacts/{cx-talks}/toggle_typing", body: typingBody, query: []string{"typing_status"}}, {pattern: "POST /contacts/{cx-talks}/update_last_seen"},
		{pattern: "GET /contacts/{cx-talks}/messages", query: []string{"before"}},
		{pattern: "POST /contacts/{cx-talks}/messages", weight: 40, body: messageBody, files: "attachments[]"},
		{pattern: "PATCH /contacts/{cx-said}", body: submitBody}, {pattern: "PUT /contacts/{cx-said}", body: submitBody},
	}
}

// channelxTemplates are the requests of integrations, contacts and strangers of
// ChannelX.
func (w *mutationWorld) channelxTemplates(s *templates) {
	for _, route := range channelxRoutes() {
		s.add("channelx "+route.pattern, max(12, route.weight), func(rng *rand.Rand, w *mutationWorld) *mutant {
			m := w.channelxRequest(rng, route, fmt.Sprintf("/api/v1/accounts/%d", w.sender.desk.number))
			token := w.channelxToken(rng)
			if m.method != http.MethodGet && !route.reads && rng.IntN(10) == 0 {
				token = oneOf(rng, w.sender.reader, w.sender.desk.reader)
				m.fixed, m.forbidden = true, m.method
			}
			w.channelxCredential(rng, m, token)
			return m
		})
	}
	for _, route := range channelxClientRoutes() {
		s.add("channelx client "+route.pattern, max(15, route.weight), func(rng *rand.Rand, w *mutationWorld) *mutant {
			m := w.channelxRequest(rng, route, "/public/api/v1/inboxes/"+w.sender.desk.identifier)
			m.public = true
			if rng.IntN(10) == 0 {
				m.header("api_access_token", oneOf(rng, "wrong", w.victim.desk.token, w.sender.desk.token))
			}
			return m
		})
	}
	s.add("channelx GET /api/v1/profile", 12, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := &mutant{area: "channelx", method: http.MethodGet, path: "/api/v1/profile" + oneOf(rng, "", "/", ".json")}
		w.channelxCredential(rng, m, oneOf(rng, w.channelxToken(rng), w.sender.reader, w.sender.desk.reader))
		return m
	})
	s.add("channelx with things of the victim", 120, w.foreignRequest)
	s.add("channelx client with keys of the victim", 60, w.foreignClientRequest)
	s.add("channelx handshake", 25, func(rng *rand.Rand, w *mutationWorld) *mutant {
		m := &mutant{area: "cable", method: oneOf(rng, http.MethodGet, http.MethodGet, http.MethodPost), path: "/cable" + oneOf(rng, "", "/", "?pubsub_token="+w.sender.desk.token)}
		for _, h := range []field{
			{"Connection", oneOf(rng, "Upgrade", "upgrade, keep-alive", "close", "")}, {"Upgrade", oneOf(rng, "websocket", "h2c", "", "websocket, x")},
			{"Sec-WebSocket-Version", oneOf(rng, "13", "8", "", "99999999999999999999", "x")}, {"Sec-WebSocket-Key", oneOf(rng, "dGhlIHNhbXBsZSBub25jZQ==", "", "x", strings.Repeat("A", 9000), "\xff")},
			{"Sec-WebSocket-Protocol", oneOf(rng, "actioncable-v1-json, actioncable-unsupported", "", ",,,", strings.Repeat("a,", 3000), "graphql-ws")},
			{"Sec-WebSocket-Extensions", oneOf(rng, "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=99", "x;;;", "")},
			{"Origin", oneOf(rng, "https://evil.example", "null", "", "\xff")},
		} {
			if rng.IntN(3) > 0 {
				m.header(h.name, h.text())
			}
		}
		if m.method == http.MethodPost {
			m.tree = parsed(`{"command":"subscribe","identifier":"{\"channel\":\"RoomChannel\",\"pubsub_token\":\"x\"}"}`)
		}
		return m
	})
}

// channelxCredential gives a request its token, in one of its spellings.
func (w *mutationWorld) channelxCredential(rng *rand.Rand, m *mutant, token string) {
	switch rng.IntN(4) {
	case 0:
		m.header("Api-Access-Token", token)
	case 1:
		m.header("Authorization", "Bearer "+token)
	default:
		m.header("api_access_token", token)
	}
}

// channelxRequest makes a request as the protocol has it.
func (w *mutationWorld) channelxRequest(rng *rand.Rand, route channelxRoute, prefix string) *mutant {
	method, path, _ := strings.Cut(route.pattern, " ")
	m := &mutant{area: "channelx", method: method}
	for {
		before, rest, found := strings.Cut(path, "{")
		if !found {
			break
		}
		kind, after, _ := strings.Cut(rest, "}")
		path = before + w.id(rng, kind, route.spoils) + after
	}
	m.path = prefix + path + oneOf(rng, "", "", "", "", "/", ".json")
	if route.body != nil {
		m.tree = route.body(rng, w)
		m.asForm(rng)
		if route.files != "" {
			m.attach(rng, route.files)
		}
	}
	for _, name := range route.query {
		if rng.IntN(3) == 0 {
			m.query = append(m.query, field{name, url.QueryEscape(w.channelxQuery(rng, name))})
		}
	}
	return m
}

// channelxQuery gives a value for a parameter.
func (w *mutationWorld) channelxQuery(rng *rand.Rand, name string) string {
	switch name {
	case "page":
		return oneOf(rng, "1", "2", "3", "0", "1000000", "99999999999999999999")
	case "sort":
		return oneOf(rng, "name", "-name", "email", "phone_number", "-last_activity_at", "created_at", "company_name", "-city", "country", "x")
	case "sort_by":
		return oneOf(rng, "last_activity_at_desc", "created_at_asc", "priority_asc", "priority_desc", "waiting_since_asc", "unread", "latest", "x")
	case "status":
		return oneOf(rng, "open", "all", "resolved", "pending", "snoozed")
	case "assignee_type":
		return oneOf(rng, "me", "assigned", "unassigned", "all")
	case "inbox_id", "team_id", "before", "after", "updated_within":
		return oneOf(rng, "1", "3", w.id(rng, "cx-inboxes", false), "100000", "2147483648", "9223372036854775807")
	case "identifier":
		return oneOf(rng, "everybody-0", "nobody")
	case "identifier_hash":
		return hashed(w.sender.desk.hmacToken, "everybody-0")
	case "typing_status":
		return oneOf(rng, "on", "off")
	case "source_id":
		return oneOf(rng, w.sender.ids["cx-sources"]...)
	default:
		return oneOf(rng, "plain", "everybody", "+1555", "a", "%", "_", "\\")
	}
}

// foreignRequest asks the application API with what is the victim's: its number,
// its tokens, or ids of its things. None of it may be answered with success.
func (w *mutationWorld) foreignRequest(rng *rand.Rand, _ *mutationWorld) *mutant {
	route := oneOf(rng, channelxRoutes()...)
	token, victim := w.sender.desk.token, w.victim
	account := fmt.Sprintf("/api/v1/accounts/%d", w.sender.desk.number)
	var m *mutant
	switch rng.IntN(3) {
	case 0: // at the victim's account
		m = w.channelxRequest(rng, route, fmt.Sprintf("/api/v1/accounts/%d", victim.desk.number))
		token = oneOf(rng, token, w.sender.token, w.sender.desk.member, w.sender.desk.reader)
	case 1: // with the victim's token
		m = w.channelxRequest(rng, route, account)
		token = oneOf(rng, victim.token, victim.agent, victim.reader, victim.desk.token, victim.desk.member, victim.desk.reader)
	default: // at what has a number of the whole installation
		inbox, contact, post := oneOf(rng, victim.ids["cx-inboxes"]...), oneOf(rng, victim.ids["cx-contacts"]...), oneOf(rng, victim.ids["cx-messages"]...)
		path := oneOf(rng, "GET /inboxes/"+inbox, "PATCH /inboxes/"+inbox, "DELETE /inboxes/"+inbox, "POST /inboxes/"+inbox+"/reset_secret", "GET /inbox_members/"+inbox,
			"GET /contacts/"+contact, "PATCH /contacts/"+contact, "DELETE /contacts/"+contact, "GET /contacts/"+contact+"/conversations", "GET /contacts/"+contact+"/labels",
			"POST /contacts/"+contact+"/labels", "POST /contacts/"+contact+"/contact_inboxes", "GET /contacts/"+contact+"/contactable_inboxes",
			"PATCH /conversations/{cx-conversations}/messages/"+post, "DELETE /conversations/{cx-conversations}/messages/"+post, "POST /conversations/{cx-conversations}/messages/"+post+"/retry")
		m = w.channelxRequest(rng, channelxRoute{pattern: path, body: oneOf(rng, contactBody, inboxBody, labelsBody, failedBody)}, account)
	}
	w.channelxCredential(rng, m, token)
	m.stranger, m.fixed = true, true
	return m
}

// foreignClientRequest asks the client API with half of what is a key of a contact
// of the victim, or for a contact that must prove who they are and does not.
func (w *mutationWorld) foreignClientRequest(rng *rand.Rand, _ *mutationWorld) *mutant {
	ours, theirs := "/public/api/v1/inboxes/"+w.sender.desk.identifier, "/public/api/v1/inboxes/"+w.victim.desk.identifier
	rest := oneOf(rng, "", "/conversations", "/conversations/1", "/conversations/1/messages", "/conversations/2/toggle_status")
	method := oneOf(rng, http.MethodGet, http.MethodPost, http.MethodPatch)
	var m *mutant
	route := rng.IntN(4)
	switch route {
	case 0:
		m = w.channelxRequest(rng, channelxRoute{pattern: method + " /contacts/" + oneOf(rng, w.victim.ids["cx-sources"]...) + rest, body: visitorBody}, ours)
	case 1:
		m = w.channelxRequest(rng, channelxRoute{pattern: method + " /contacts/{cx-sources}" + rest, body: visitorBody}, theirs)
	case 2: // its own contact, with a conversation or a message of the victim's; numbers may be alike
		m = w.channelxRequest(rng, channelxRoute{
			pattern: "PATCH /contacts/{cx-talks}/messages/" + oneOf(rng, w.victim.ids["cx-messages"]...), body: submitBody,
		}, ours)
	default: // known or not, nobody comes in without a proof
		m = w.channelxRequest(rng, channelxRoute{pattern: "POST /contacts", body: visitorBody}, theirs)
		if tree, ok := m.tree.([]field); ok && rng.IntN(2) == 0 {
			tree = append(tree, field{"source_id", oneOf(rng, w.victim.ids["cx-sources"]...)})
			m.tree = tree
		}
	}
	m.stranger = strings.HasPrefix(m.path, theirs) || route == 2 // the sender's own contact may have the same source
	m.fixed, m.public = true, true
	return m
}
