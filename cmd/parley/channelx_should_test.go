package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChannelXShould is what section 1.2 of channelx.md lists, and section 8's
// rules of behaviour, where no numbered case has them.
func TestChannelXShould(t *testing.T) {
	t.Parallel()
	s := newCX(t)
	for name, run := range map[string]func(*testing.T, *cx){
		"counts": cxCounts, "labels": cxLabels, "assignments": cxAssignments, "conversation": cxConversation, "filters": cxFilters,
		"merge": cxMerge, "remove": cxRemove, "members": cxMembers, "webhooks": cxWebhooks, "inbox": cxInboxLife, "status": cxStatus,
		"forms": cxForms, "blocked": cxBlocked, "waiting": cxWaiting, "greeting": cxGreeting, "window": cxWindow, "snoozed": cxSnoozed,
		"recognised": cxRecognised, "user socket": cxUserSocket, "verified": cxVerified, "limits": cxLimitsOfMessages, "tokens": cxTokens, "shared": cxShared,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, s)
		})
	}
}

// cxCounts: S1.
func cxCounts(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	c := o.ana(t)
	first := c.talk(t)
	c.talk(t)
	c.talk(t).turns(t, "resolved")
	o.posts(t, first.path("/assignments"), object{"assignee_id": o.rui})
	o.reads(t, "/conversations/meta").at("meta").is(object{"mine_count": 1, "assigned_count": 1, "unassigned_count": 1, "all_count": 2})
	o.reads(t, "/conversations/meta?status=all").at("meta", "all_count").is(3)
	for query, want := range map[string][]int64{
		"?assignee_type=me": {1}, "?assignee_type=assigned": {1}, "?assignee_type=unassigned": {2}, "?assignee_type=all&sort_by=created_at_asc": {1, 2},
		"?status=resolved": {3}, "?status=all&sort_by=created_at_desc": {3, 2, 1}, "?status=all&source_id=" + escaped(c.source) + "&sort_by=created_at_asc": {1, 2, 3},
		"?page=2": {},
	} {
		if got := o.reads(t, "/conversations"+query).at("data", "payload").integers("id"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	first.hears(t, "where is the needle")
	if got := o.reads(t, "/conversations?q=Needle").at("data", "payload").integers("id"); !slices.Equal(got, []int64{1}) {
		t.Errorf("searched: %v", got)
	}
}

// cxLabels: S2.
func cxLabels(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	o := v.office
	o.platform(t, http.MethodPost, "/v1/tags", object{"name": "vip"}, http.StatusCreated, nil)
	label := o.reads(t, "/labels").at("payload", 0)
	label.at("title").is("vip")
	label.at("id").integer()
	for _, path := range []string{v.path("/labels"), v.contact.path("/labels")} {
		o.reads(t, path).is(object{"payload": []string{}})
		o.posts(t, path, object{"labels": []string{"vip", "late"}})
		got := o.reads(t, path).at("payload")
		got.hasText("vip")
		got.hasText("late")
	}
	o.gets(t, o.app(t, http.MethodPost, v.path("/labels"), url.Values{"labels[]": {"vip"}})).is(object{"payload": []string{"vip"}})
	o.reads(t, v.path("")).at("labels").is([]string{"vip"})
	if got := o.reads(t, "/conversations?labels[]=vip").at("data", "payload").integers("id"); !slices.Equal(got, []int64{v.id}) {
		t.Errorf("by label: %v", got)
	}
	o.posts(t, v.contact.path("/labels"), object{"labels": []string{"vip"}})
	if got := o.reads(t, "/contacts?labels[]=vip").at("payload").integers("id"); !slices.Equal(got, []int64{v.contact.id}) {
		t.Errorf("contacts by label: %v", got)
	}
	updated := o.receiver.await(t, "the labels", func(h cxHook) bool {
		return h.event == "conversation_updated" && slices.Contains(h.changes(), "labels") || h.event == "conversation_updated" && slices.Contains(h.changes(), "label_list")
	})
	updated.body.at("labels").list()
}

// cxAssignments: S3.
func cxAssignments(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	o := v.office
	given := o.posts(t, v.path("/assignments"), object{"assignee_id": digits(o.rui)})
	for name, want := range map[string]any{"id": o.rui, "name": "Rui Costa", "email": "rui@example.test", "role": "administrator", "account_id": o.number} {
		given.at(name).is(want)
	}
	meta := o.reads(t, v.path("")).at("meta")
	meta.at("assignee", "id").is(o.rui)
	meta.at("assignee_type").is("User")
	if call := o.receiver.await(t, "the assignee", func(h cxHook) bool {
		return h.event == "conversation_updated" && slices.Contains(h.changes(), "assignee_id")
	}); !call.body.at("meta", "assignee", "id").equals(o.rui) {
		t.Errorf("told %s", call.raw)
	}
	o.posts(t, v.path("/assignments"), object{"assignee_id": nil}).is(nil)
	o.reads(t, v.path("")).at("meta", "assignee").isAbsent()

	var made struct {
		ID int64 `json:"id"`
	}
	o.platform(t, http.MethodPost, "/v1/queues", object{"name": "depot"}, http.StatusCreated, &made)
	o.posts(t, v.path("/assignments"), object{"team_id": made.ID}).at("name").is("depot")
	o.reads(t, v.path("")).at("meta", "team", "id").is(made.ID)
	o.reads(t, "/teams").at(0, "name").is("depot")
	if got := o.reads(t, "/conversations?team_id="+digits(made.ID)).at("data", "payload").integers("id"); !slices.Equal(got, []int64{v.id}) {
		t.Errorf("by team: %v", got)
	}
}

// cxConversation: S4 and S5.
func cxConversation(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	o := v.office
	o.posts(t, v.path("/custom_attributes"), object{"custom_attributes": object{"order": "A-17"}}).at("custom_attributes").is(object{"order": "A-17"})
	cxEmpty(t, o.app(t, http.MethodPost, v.path("/toggle_priority"), object{"priority": "high"}))
	o.reads(t, v.path("")).at("priority").is("high")
	o.gets(t, o.app(t, http.MethodPatch, v.path(""), object{"priority": "low"})).at("priority").is("low")
	o.reads(t, v.path("")).at("custom_attributes").is(object{"order": "A-17"})
	for i := range 12 {
		v.hears(t, fmt.Sprint("message ", i))
	}
	o.reads(t, v.path("")).at("unread_count").is(10)
	seen := o.posts(t, v.path("/update_last_seen"), nil)
	seen.at("unread_count").is(0)
	seen.at("agent_last_seen_at").isSeconds()
	unread := o.posts(t, v.path("/unread"), nil)
	if n := unread.at("unread_count").integer(); n < 1 {
		t.Errorf("unread: %d", n)
	}
	v.hears(t, "{{contact.name}} \\\nline\n\n")
	o.receiver.event(t, "message_created", "content", "{{contact.name}} \nline")
	internal := len(o.reads(t, v.path("/messages?filter_internal_messages=1")).at("payload").list())
	v.notes(t, "a note")
	if after := o.reads(t, v.path("/messages?filter_internal_messages=1")).at("payload").list(); len(after) != internal {
		t.Errorf("%d messages without internal ones, %d before", len(after), internal)
	}
}

// cxFilters: S6.
func cxFilters(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	o := v.office
	v.contact.talk(t).turns(t, "resolved")
	filter := func(status string) cxValue {
		return o.posts(t, "/conversations/filter", object{"payload": []object{
			{"attribute_key": "status", "filter_operator": "equal_to", "values": []string{status}, "query_operator": nil},
		}})
	}
	for status, n := range map[string]int{"open": 1, "resolved": 1, "pending": 0} {
		got := filter(status)
		if len(got.at("payload").list()) != n || !got.at("meta", "all_count").equals(n) {
			t.Errorf("%s: %s", status, got)
		}
	}
	o.posts(t, "/contact_inboxes/filter", object{"inbox_id": o.inbox, "source_id": v.contact.source}).at("id").is(v.contact.id)
	if got := o.app(t, http.MethodPost, "/contact_inboxes/filter", object{"inbox_id": o.inbox, "source_id": "nobody"}); got.status != http.StatusNotFound {
		t.Errorf("%d %s", got.status, got.raw)
	}
}

// cxMerge: S7.
func cxMerge(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	base := o.contact(t, object{"name": "Ana Prado", "phone_number": cxPhone, "custom_attributes": object{"plan": "gold"}})
	twin := o.contact(t, object{"name": "A. Prado", "email": "ana@example.test", "custom_attributes": object{"plan": "tin", "tier": 2}})
	v := twin.talk(t)
	id := v.hears(t, "hello")
	merged := o.posts(t, "/actions/contact_merge", object{"base_contact_id": base.id, "mergee_contact_id": twin.id})
	for name, want := range map[string]any{"id": base.id, "name": "Ana Prado", "email": "ana@example.test", "phone_number": cxPhone} {
		merged.at(name).is(want)
	}
	merged.at("custom_attributes").is(object{"plan": "gold", "tier": 2})
	cxRefused(t, o.app(t, http.MethodGet, twin.path(""), nil), http.StatusNotFound)
	o.reads(t, v.path("")).at("meta", "sender", "id").is(base.id)
	v.message(t, id).at("sender", "id").is(base.id)
	if got := o.reads(t, base.path("/conversations")).at("payload").integers("id"); !slices.Equal(got, []int64{v.id}) {
		t.Errorf("conversations %v", got)
	}
	if n := len(o.reads(t, base.path("")).at("payload", "contact_inboxes").list()); n != 2 {
		t.Errorf("%d contact inboxes", n)
	}
	o.clientReads(t, twin.clientPath("")).at("id").is(base.id)
}

// cxRemove: S7; what is deleted is gone, and can be made again.
func cxRemove(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	o := v.office
	v.hears(t, "forget me")
	bia, _ := o.staff(t, true)
	cxRefused(t, bia.app(t, http.MethodDelete, v.contact.path(""), nil), http.StatusUnauthorized)
	cxEmpty(t, o.app(t, http.MethodDelete, v.contact.path(""), nil))
	for _, path := range []string{v.contact.path(""), v.path(""), v.path("/messages")} {
		cxRefused(t, o.app(t, http.MethodGet, path, nil), http.StatusNotFound)
	}
	cxRefused(t, o.public(t, http.MethodGet, v.contact.clientPath(""), nil), http.StatusNotFound)
	again := o.ana(t)
	if again.id == v.contact.id {
		t.Errorf("contact %d is there again", again.id)
	}
	if second := again.talk(t); second.id != v.id+1 {
		t.Errorf("conversation %d after %d", second.id, v.id)
	}
}

// cxMembers: S8.
func cxMembers(t *testing.T, s *cx) { //nolint:thelper // a test
	v := s.office(t).talk(t)
	o := v.office
	bia, id := o.staff(t, false)
	for _, path := range []string{"/conversations/" + digits(v.id), "/inboxes/" + digits(o.inbox)} {
		cxRefused(t, bia.app(t, http.MethodGet, path, nil), http.StatusUnauthorized).is(object{"error": "You are not authorized to do this action"})
	}
	bia.reads(t, "/conversations").at("data", "payload").is([]string{})
	members := o.posts(t, "/inbox_members", object{"inbox_id": o.inbox, "user_ids": []int64{id}}).at("payload")
	members.find("id", id).at("role").is("agent")
	bia.reads(t, v.path("")).at("id").is(v.id)
	o.gets(t, o.app(t, http.MethodPatch, "/inbox_members", object{"inbox_id": digits(o.inbox), "user_ids": []string{digits(o.rui), digits(id)}}))
	if got := o.reads(t, "/inbox_members/"+digits(o.inbox)).at("payload").integers("id"); len(got) != 2 {
		t.Errorf("members %v", got)
	}
	cxEmpty(t, o.app(t, http.MethodDelete, "/inbox_members", object{"inbox_id": o.inbox, "user_ids": []int64{id}}))
	cxRefused(t, bia.app(t, http.MethodGet, v.path(""), nil), http.StatusUnauthorized)
	agents := o.reads(t, "/agents")
	for name, want := range map[string]any{"name": "Rui Costa", "email": "rui@example.test", "role": "administrator", "account_id": o.number} {
		agents.find("id", o.rui).at(name).is(want)
	}
}

// cxWebhooks: S9.
func cxWebhooks(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	const address = "https://hooks.example.test/cx"
	made := o.posts(t, "/webhooks", object{"url": address, "name": "depot"}).at("payload", "webhook")
	id := made.at("id").integer()
	if n := len(made.at("subscriptions").list()); n != 8 {
		t.Errorf("%d subscriptions", n)
	}
	cxRefused(t, o.app(t, http.MethodPost, "/webhooks", object{"url": address}), http.StatusUnprocessableEntity)
	cxRefused(t, o.app(t, http.MethodPost, "/webhooks", object{"url": "no URL"}), http.StatusUnprocessableEntity)
	changed := o.gets(t, o.app(t, http.MethodPatch, "/webhooks/"+digits(id), object{"subscriptions": []string{"message_created"}}))
	changed.at("payload", "webhook", "subscriptions").is([]string{"message_created"})
	o.reads(t, "/webhooks").at("payload", "webhooks").find("id", id).at("url").is(address)
	bia, _ := o.staff(t, true)
	cxRefused(t, bia.app(t, http.MethodGet, "/webhooks", nil), http.StatusUnauthorized)
	cxEmpty(t, o.app(t, http.MethodDelete, "/webhooks/"+digits(id), nil))
	o.reads(t, "/webhooks").at("payload", "webhooks").is([]string{})
}

// cxInboxLife: S10.
func cxInboxLife(t *testing.T, s *cx) { //nolint:thelper // a test
	o := s.office(t)
	v := o.talk(t)
	v.says(t, "hello")
	gone := o.gets(t, o.app(t, http.MethodDelete, "/inboxes/"+digits(o.inbox), nil))
	gone.at("message").text()
	cxRefused(t, o.app(t, http.MethodGet, "/inboxes/"+digits(o.inbox), nil), http.StatusNotFound)
	cxRefused(t, o.public(t, http.MethodGet, "", nil), http.StatusNotFound).is(cxNotFound)
	o.reads(t, v.contact.path("")).at("payload", "contact_inboxes").list()
	o.reads(t, v.contact.path("/conversations")).at("payload").list()
}

// cxStatus: S12.
func cxStatus(t *testing.T, s *cx) { //nolint:thelper // a test
	version := s.fixture.gets(t, s.send(t, http.MethodGet, "/api", nil, nil))
	if !strings.HasPrefix(version.at("version").text(), "4.") {
		t.Errorf("%s", version)
	}
	version.at("queue_services").is("ok")
	version.at("data_services").is("ok")
	if _, err := time.Parse(time.DateTime, version.at("timestamp").text()); err != nil {
		t.Error(err)
	}
	s.fixture.gets(t, s.send(t, http.MethodGet, "/health", nil, nil)).is(object{"status": "woot"})
}
