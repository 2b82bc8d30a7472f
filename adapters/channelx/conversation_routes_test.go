package channelx

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure a conversation is opened as section 4.5 resolves what is asked for.
func TestConversationCreated(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	source := w.ana(t)
	made := w.gets(t, adminToken, http.MethodPost, "/conversations", `{"source_id":"`+source+`","custom_attributes":{"a":1}}`)
	if at(t, made, "status") != "open" || at(t, made, "inbox_id") != 3.0 || at(t, made, "custom_attributes", "a") != 1.0 || len(at(t, made, "messages").([]any)) != 0 {
		t.Errorf("%v", made)
	}
	if made = w.gets(t, adminToken, http.MethodPost, "/conversations/", `{"contact_id":"1","inbox_id":"4","status":"pending","assignee_id":"4"}`); at(t, made, "status") != "pending" ||
		at(t, made, "id") != 2.0 || at(t, made, "inbox_id") != 4.0 || at(t, made, "meta", "assignee", "id") != 4.0 {
		t.Errorf("%v", made)
	}
	made = w.gets(t, adminToken, http.MethodPost, "/conversations", `{"source_id":"`+source+`","message":{"content":"hello","source_id":"m1"}}`)
	if at(t, made, "messages", 0, "content") != "hello" || at(t, made, "messages", 0, "message_type") != 1.0 || at(t, made, "messages", 0, "source_id") != "m1" {
		t.Errorf("%v", made)
	}
	status, made := w.posts(t, "/conversations", formPart{name: "source_id", content: source}, formPart{name: "message[content]", content: "with a file"},
		formPart{name: "message[attachments][]", file: "a.txt", contentType: "text/plain", content: "x"})
	if status != http.StatusOK || at(t, made, "messages", 0, "attachments", 0, "file_type") != "file" {
		t.Errorf("%d %v", status, made)
	}
	const missing = `{"error":"Resource could not be found"}`
	for body, want := range map[string]string{
		`{"source_id":"nope"}`: missing, `{"contact_id":1}`: missing, `{"inbox_id":3}`: missing, `{}`: missing,
		`{"contact_id":1,"inbox_id":99}`: missing, `{"contact_id":99,"inbox_id":3}`: missing,
	} {
		w.refuses(t, adminToken, http.MethodPost, "/conversations", body, http.StatusNotFound, want)
	}
	w.gets(t, adminToken, http.MethodPost, "/contacts", `{"inbox_id":3,"name":"Bo","source_id":"ext-bo"}`)
	w.refuses(t, adminToken, http.MethodPost, "/conversations", `{"inbox_id":3,"contact_id":1,"source_id":"ext-bo"}`, http.StatusUnprocessableEntity,
		`{"error":"source_id should be unique"}`)
	w.refuses(t, adminToken, http.MethodPost, "/conversations", `{"source_id":"ext-bo","status":"bogus"}`, http.StatusUnprocessableEntity,
		`{"error":"'bogus' is not a valid status"}`)
	w.refuses(t, adminToken, http.MethodPost, "/conversations", `{"source_id":"ext-bo","message":{"message_type":"bogus"}}`, http.StatusUnprocessableEntity,
		`{"error":"'bogus' is not a valid message_type"}`)
}

// Ensure that an inbox that is named is where a source id is looked for first.
func TestConversationCreated_SourceOfTwoInboxes(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	for _, inbox := range []string{"3", "4"} {
		w.gets(t, adminToken, http.MethodPost, "/contacts", `{"inbox_id":`+inbox+`,"source_id":"device-1"}`)
	}
	for body, inbox := range map[string]float64{
		`{"source_id":"device-1"}`: 3, `{"source_id":"device-1","inbox_id":3}`: 3, `{"source_id":"device-1","inbox_id":"4"}`: 4,
		`{"source_id":"device-1","inbox_id":99}`: 3,
	} {
		if made := w.gets(t, adminToken, http.MethodPost, "/conversations", body); at(t, made, "inbox_id") != inbox {
			t.Errorf("%s is opened in %v", body, at(t, made, "inbox_id"))
		}
	}
	w.refuses(t, ruisToken, http.MethodPost, "/conversations", `{"source_id":"device-1","inbox_id":4}`, http.StatusUnauthorized, noRight)
}

// Ensure that whoever is no member of an inbox does nothing in it, and that a reader
// changes nothing.
func TestConversationAccess(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	source := w.ana(t)
	path := w.conversation(t, source)
	w.gets(t, adminToken, http.MethodPost, path+"/messages", `{"content":"x"}`)
	reader := w.tokens[readersToken]
	reader.Agent = rui // a member of the inbox, as whom it reads
	w.tokens[readersToken] = reader
	const noRight = `{"error":"You are not authorized to do this action"}`
	calls := []struct{ method, path, body string }{
		{http.MethodGet, path, ""},
		{http.MethodGet, path + "/messages", ""},
		{http.MethodGet, path + "/labels", ""},
		{http.MethodPost, path + "/messages", `{"content":"x"}`},
		{http.MethodPatch, path + "/messages/1", `{"status":"read"}`},
		{http.MethodDelete, path + "/messages/1", ""},
		{http.MethodPost, path + "/messages/1/retry", ""},
		{http.MethodPost, path + "/toggle_status", ""},
		{http.MethodPost, path + "/toggle_priority", `{"priority":"low"}`},
		{http.MethodPost, path + "/toggle_typing_status", `{"typing_status":"on"}`},
		{http.MethodPost, path + "/assignments", `{"assignee_id":4}`},
		{http.MethodPost, path + "/labels", `{"labels":[]}`},
		{http.MethodPost, path + "/custom_attributes", `{}`},
		{http.MethodPost, path + "/update_last_seen", ""},
		{http.MethodPost, path + "/unread", ""},
		{http.MethodPatch, path, `{"priority":"low"}`},
		{http.MethodPost, "/conversations", `{"source_id":"` + source + `"}`},
	}
	for i, c := range calls {
		w.refuses(t, biasToken, c.method, c.path, c.body, http.StatusUnauthorized, noRight)
		if i < 3 {
			w.gets(t, readersToken, c.method, c.path, c.body)
		} else {
			w.refuses(t, readersToken, c.method, c.path, c.body, http.StatusUnauthorized, noRight)
		}
	}
	w.gets(t, ruisToken, http.MethodGet, path, "")
	for _, c := range calls {
		if strings.HasPrefix(c.path, path) {
			missing := strings.Replace(c.path, path, "/conversations/99", 1)
			w.refuses(t, adminToken, c.method, missing, c.body, http.StatusNotFound, `{"error":"Resource could not be found"}`)
		}
	}
}

// Ensure lists ask for what section 4.5 says, and only for what may be seen.
func TestConversationList(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	w.conversation(t, w.ana(t))
	page := w.gets(t, adminToken, http.MethodGet, "/conversations", "")
	if at(t, page, "data", "meta", "all_count") != 1.0 || at(t, page, "data", "meta", "unassigned_count") != 1.0 || at(t, page, "data", "payload", 0, "id") != 1.0 {
		t.Errorf("%v", page)
	}
	if page = w.gets(t, biasToken, http.MethodGet, "/conversations", ""); at(t, page, "data", "meta", "all_count") != 0.0 || len(at(t, page, "data", "payload").([]any)) != 0 {
		t.Errorf("bia is shown %v", page)
	}
	open := []domain.TicketStatus{domain.TicketOpen}
	var there []string
	for _, ch := range w.Channels(officeAccount) {
		if ch.Dialect.HasTickets() {
			there = append(there, ch.ID)
		}
	}
	slices.Sort(there)
	yes, no := true, false
	for query, want := range map[string]domain.TicketQuery{
		"":                                {Statuses: open},
		"status=all":                      {},
		"status=snoozed&page=3":           {Statuses: []domain.TicketStatus{domain.TicketSnoozed}, Offset: 50},
		"q=shoes&status=open":             {Search: "shoes"},
		"inbox_id=3":                      {Statuses: open, Channels: []string{bridge}},
		"assignee_type=me":                {Statuses: open, Assignee: domain.OperatorOfToken(w.tokens[adminToken]).ID},
		"assignee_type=assigned":          {Statuses: open, Assigned: &yes},
		"assignee_type=unassigned":        {Statuses: open, Assigned: &no},
		"labels[]=a&labels[]=b&team_id=2": {Statuses: open, Labels: []string{"a", "b"}, Team: 2},
		"source_id=x&sort_by=unread":      {Statuses: open, SourceID: "x", Sort: "unread"},
		"sort_by=created_at_asc":          {Statuses: open, Sort: "created_at", Ascending: true},
		"sort_by=bogus":                   {Statuses: open},
	} {
		w.asked = nil
		w.gets(t, adminToken, http.MethodGet, "/conversations?"+query, "")
		want.Account, want.Limit, want.Sort = officeAccount, conversationsPage, orActivity(want.Sort)
		if want.Channels == nil {
			want.Channels = there // an inbox that was deleted shows nothing any more
		}
		got := w.asked[len(w.asked)-1]
		slices.Sort(got.Channels)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s asks for %+v, want %+v", query, got, want)
		}
	}
	w.asked = nil
	w.gets(t, adminToken, http.MethodGet, "/conversations?updated_within=60&page=2", "")
	if got := w.asked[0]; got.UpdatedSince == nil || got.Offset != 0 || got.Limit != mostUpdated {
		t.Errorf("%+v", got)
	}
	w.refuses(t, adminToken, http.MethodGet, "/conversations?inbox_id=99", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	if counts := w.gets(t, adminToken, http.MethodGet, "/conversations/meta", ""); at(t, counts, "meta", "all_count") != 1.0 {
		t.Errorf("%v", counts)
	}
}

func orActivity(sort string) string {
	if sort == "" {
		return "last_activity_at"
	}
	return sort
}

// Ensure counts are limited by caller.
func TestConversationCountsAreLimited(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	for range 3 {
		w.gets(t, adminToken, http.MethodGet, "/conversations/meta", "")
	}
	if status, answer := w.says(t, adminToken, http.MethodGet, "/conversations/meta", ""); status != http.StatusTooManyRequests || answer != "Retry later" {
		t.Errorf("%d %v", status, answer)
	}
	w.gets(t, ruisToken, http.MethodGet, "/conversations/meta", "")
}

// Ensure a filter names inboxes by number and means their channels.
func TestConversationFilter(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	w.gets(t, ruisToken, http.MethodPost, "/conversations/filter?page=2", `{"payload":[
		{"attribute_key":"status","filter_operator":"equal_to","values":["all"],"query_operator":"AND"},
		{"attribute_key":"inbox_id","filter_operator":"equal_to","values":[3,99],"query_operator":"OR"},
		{"attribute_key":"assignee_id","filter_operator":"is_present","values":[],"query_operator":null}]}`)
	want := domain.TicketQuery{
		Account: officeAccount, Channels: []string{bridge}, Offset: conversationsPage, Limit: conversationsPage,
		Conditions: []domain.Condition{
			{Key: "status", Compare: domain.EqualTo, Values: []string{"open", "resolved", "pending", "snoozed"}},
			{Key: "inbox_id", Compare: domain.EqualTo, Values: []string{bridge, ""}, Or: true},
			{Key: "assignee_id", Compare: domain.IsPresent},
		},
	}
	if got := w.asked[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, line := range []string{
		`{"attribute_key":"bogus","filter_operator":"equal_to","values":["x"]}`,
		`{"attribute_key":"status","filter_operator":"equal_to","values":["bogus"]}`,
		`{"attribute_key":"inbox_id","filter_operator":"equal_to","values":["x"]}`,
		`{"attribute_key":"status","filter_operator":"contains","values":["open"]}`,
	} {
		if status, answer := w.says(t, adminToken, http.MethodPost, "/conversations/filter", `{"payload":[`+line+`]}`); status != http.StatusUnprocessableEntity || at(t, answer, "error") == nil {
			t.Errorf("%s: %d %v", line, status, answer)
		}
	}
}

// Ensure a conversation is changed and shown as section 4.5 says.
func TestConversationChanges(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	path := w.conversation(t, w.ana(t))
	toggled := w.gets(t, adminToken, http.MethodPost, path+"/toggle_status", "")
	if at(t, toggled, "payload", "current_status") != "resolved" || at(t, toggled, "payload", "success") != true || at(t, toggled, "payload", "conversation_id") != 1.0 {
		t.Errorf("%v", toggled)
	}
	toggled = w.gets(t, ruisToken, http.MethodPost, path+"/toggle_status", "")
	if shown := w.gets(t, adminToken, http.MethodGet, path, ""); at(t, toggled, "payload", "current_status") != "open" || at(t, shown, "meta", "assignee", "id") != 4.0 {
		t.Errorf("%v, then %v", toggled, shown)
	}
	toggled = w.gets(t, adminToken, http.MethodPost, path+"/toggle_status", `{"status":"snoozed","snoozed_until":"1893456000"}`)
	if at(t, toggled, "payload", "snoozed_until") != "2030-01-01T00:00:00.000Z" {
		t.Errorf("%v", toggled)
	}
	w.refuses(t, adminToken, http.MethodPost, path+"/toggle_status", `{"status":"bogus"}`, http.StatusUnprocessableEntity, `{"error":"'bogus' is not a valid status"}`)

	if team := w.gets(t, adminToken, http.MethodPost, path+"/assignments", `{"assignee_id":5}`); at(t, team, "name") != "bia" || at(t, team, "role") != "agent" {
		t.Errorf("%v", team)
	}
	if nobody := w.gets(t, adminToken, http.MethodPost, path+"/assignments", `{"assignee_id":null,"team_id":2}`); nobody != nil {
		t.Errorf("%v", nobody)
	}
	labels := w.gets(t, adminToken, http.MethodPost, path+"/labels", `{"labels":["vip","refund"]}`)
	if list, _ := at(t, labels, "payload").([]any); !slices.Equal(list, []any{"refund", "vip"}) {
		t.Errorf("%v", labels)
	}
	if again := w.gets(t, ruisToken, http.MethodGet, path+"/labels.json", ""); !reflect.DeepEqual(again, labels) {
		t.Errorf("%v", again)
	}
	if custom := w.gets(t, adminToken, http.MethodPost, path+"/custom_attributes", `{"custom_attributes":{"a":{"b":1}}}`); at(t, custom, "custom_attributes", "a", "b") != 1.0 {
		t.Errorf("%v", custom)
	}
	if shown := w.gets(t, adminToken, http.MethodPatch, path, `{"priority":"urgent"}`); at(t, shown, "priority") != "urgent" {
		t.Errorf("%v", shown)
	}
	if status, body := w.says(t, adminToken, http.MethodPost, path+"/toggle_priority", `{"priority":null}`); status != http.StatusOK || body != nil {
		t.Errorf("%d %v", status, body)
	}
	if shown := w.gets(t, adminToken, http.MethodGet, path, ""); at(t, shown, "priority") != nil {
		t.Errorf("%v", shown)
	}
	w.refuses(t, adminToken, http.MethodPost, path+"/toggle_priority", `{"priority":"bogus"}`, http.StatusUnprocessableEntity, `{"error":"'bogus' is not a valid priority"}`)

	w.gets(t, adminToken, http.MethodPost, path+"/messages", `{"content":"hi","message_type":"incoming"}`)
	if shown := w.gets(t, adminToken, http.MethodPost, path+"/update_last_seen", ""); at(t, shown, "unread_count") != 0.0 || at(t, shown, "agent_last_seen_at") == 0.0 {
		t.Errorf("%v", shown)
	}
	if shown := w.gets(t, adminToken, http.MethodPost, path+"/unread", ""); at(t, shown, "unread_count") != 1.0 {
		t.Errorf("%v", shown)
	}
	before := len(w.ledger.log)
	for _, body := range []string{`{"typing_status":"on","is_private":true}`, `{"typing_status":"off"}`, `{"typing_status":"x"}`} {
		if status, answer := w.says(t, adminToken, http.MethodPost, path+"/toggle_typing_status", body); status != http.StatusOK || answer != nil {
			t.Errorf("%d %v", status, answer)
		}
	}
	told := w.ledger.log[before:]
	if len(told) != 2 || !told[0].Data.(domain.TypingNoticed).Private || told[1].Data.(domain.TypingNoticed).On {
		t.Errorf("%+v", told)
	}
}
