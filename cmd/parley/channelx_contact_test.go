package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// Contacts.
//
//nolint:thelper // tests, not helpers of tests
var cxContactCases = []cxCase{
	{"014", func(t *testing.T, s *cx) {
		made := s.fixture.posts(t, "/contacts", `{"inbox_id":3,"name":"Ana Prado","identifier":"crm-48213","phone_number":"+5511988887777"}`)
		contact, inbox := made.at("payload", "contact"), made.at("payload", "contact_inbox")
		for name, want := range map[string]any{
			"name": "Ana Prado", "identifier": cxCRM, "phone_number": cxPhone, "email": nil, "thumbnail": "", "blocked": false,
			"availability_status": "offline", "additional_attributes": object{}, "custom_attributes": object{},
		} {
			contact.at(name).is(want)
		}
		contact.at("created_at").isSeconds()
		contact.at("last_activity_at").isAbsent()
		source := inbox.at("source_id").text()
		if id, err := uuid.Parse(source); err != nil || id.Version() != 4 {
			t.Errorf("the source_id is %q", source)
		}
		contact.at("contact_inboxes", 0, "source_id").is(source)
		contact.at("contact_inboxes", 0, "inbox", "id").is(3)
		contact.at("contact_inboxes", 0, "inbox", "channel_type").is("Channel::Api")
		inbox.at("inbox", "id").is(3)
		inbox.at("inbox", "account_id").is(1)
		inbox.at("inbox", "name").is(cxInboxName)

		// Without an inbox there is no contact inbox.
		bare := s.fixture.posts(t, "/contacts", object{"name": "Caio"}).at("payload")
		bare.at("contact", "contact_inboxes").is([]string{})
		bare.at("contact_inbox").is(object{"inbox": nil, "source_id": nil})
	}},
	{"015", func(t *testing.T, s *cx) {
		o := s.office(t)
		o.ana(t)
		again := object{"inbox_id": o.inbox, "name": "Ana Prado", "identifier": cxCRM, "phone_number": cxPhone}
		refused := cxRefused(t, o.app(t, http.MethodPost, "/contacts", again), http.StatusUnprocessableEntity)
		refused.at("attributes").hasText("identifier")
		refused.at("message").text()
		o.has(t, 1)
	}},
	{"016", func(t *testing.T, s *cx) {
		o := s.office(t)
		for _, phone := range []string{"11988887777", "+0119888", "+", "+55 11 9888", "+1234567890123456"} {
			got := o.app(t, http.MethodPost, "/contacts", object{"inbox_id": o.inbox, "name": "Ana", "phone_number": phone})
			cxRefused(t, got, http.StatusUnprocessableEntity).is(object{"message": "Phone number should be in e164 format", "attributes": []string{"phone_number"}})
		}
		got := o.app(t, http.MethodPost, "/contacts", object{"name": "Ana", "email": "ana at example"})
		cxRefused(t, got, http.StatusUnprocessableEntity).is(object{"message": "Email Invalid email", "attributes": []string{"email"}})
		o.has(t, 0)
	}},
	{"017", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		found := o.reads(t, "/contacts/search?q=%2B5511988887777&page=1")
		found.at("payload", 0, "id").is(c.id)
		found.at("payload", 0, "contact_inboxes", 0, "source_id").is(c.source)
		found.at("meta").is(object{"count": 1, "current_page": "1", "has_more": false})
	}},
	{"018", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		for q, n := range map[string]int{"CRM-48213": 0, "crm-48213": 1, "ana": 1, "PRADO": 1, "nobody": 0} {
			found := o.reads(t, "/contacts/search?q="+q).at("payload")
			if ids := found.integers("id"); len(ids) != n || n == 1 && ids[0] != c.id {
				t.Errorf("%s: %s", q, found)
			}
		}
	}},
	{"019", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		o.contact(t, object{"name": "Bo", "phone_number": "+5511977776666"})
		line := func(key string, or any, values ...string) object {
			return object{"attribute_key": key, "filter_operator": "equal_to", "values": values, "query_operator": or}
		}
		for _, lines := range [][]object{
			{line("phone_number", nil, "5511988887777")},
			{line("phone_number", "OR", "5511988887777"), line("identifier", nil, cxCRM)},
			{line("name", nil, "ana prado")},
		} {
			found := o.posts(t, "/contacts/filter", object{"payload": lines})
			found.at("meta", "count").is(1)
			if ids := found.at("payload").integers("id"); !slices.Equal(ids, []int64{c.id}) {
				t.Errorf("%v: %s", lines, found)
			}
		}
		refused := cxRefused(t, o.app(t, http.MethodPost, "/contacts/filter", object{"payload": []object{line("shoe_size", nil, "42")}}), http.StatusUnprocessableEntity)
		refused.at("error").text()
	}},
	{"020", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		o.gets(t, o.app(t, http.MethodPut, c.path(""), object{"custom_attributes": object{"plan": "gold"}}))
		changed := o.gets(t, o.app(t, http.MethodPatch, c.path(""), object{"custom_attributes": object{"tier": 2}})).at("payload")
		for _, contact := range []cxValue{changed, o.reads(t, c.path("")).at("payload")} {
			contact.at("custom_attributes").is(object{"plan": "gold", "tier": 2})
			contact.at("name").is("Ana Prado")
			contact.at("identifier").is(cxCRM)
		}
	}},
	{"021", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		contact := o.reads(t, c.path("")).at("payload")
		contact.at("id").is(c.id)
		contact.at("created_at").isSeconds()
		contact.at("contact_inboxes", 0, "source_id").is(c.source)
	}},
	{"022", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		for range 2 {
			made := o.posts(t, c.path("/contact_inboxes"), object{"inbox_id": o.inbox, "source_id": "ext-ana"})
			made.at("source_id").is("ext-ana")
			made.at("inbox", "id").is(o.inbox)
		}
		if list := o.reads(t, c.path("")).at("payload", "contact_inboxes"); len(list.list()) != 2 || list.find("source_id", "ext-ana").missing() {
			t.Errorf("%s", list)
		}
	}},
	{"023", func(t *testing.T, s *cx) {
		o := s.office(t)
		c := o.ana(t)
		o.posts(t, c.path("/contact_inboxes"), object{"inbox_id": o.inbox, "source_id": "ext-ana"})
		list := o.reads(t, c.path("/contactable_inboxes")).at("payload")
		if len(list.list()) != 1 {
			t.Fatalf("%s", list)
		}
		list.at(0, "inbox", "id").is(o.inbox)
		list.at(0, "source_id").is("ext-ana")
	}},
	{"024", func(t *testing.T, s *cx) {
		o := s.office(t)
		got := o.app(t, http.MethodPost, "/contacts", object{"inbox_id": 999, "name": "Ana Prado", "identifier": cxCRM})
		cxRefused(t, got, http.StatusNotFound).is(object{"error": "Resource could not be found"})
		o.has(t, 0)

		// Nor does a source_id that another contact has leave one (10.2.1).
		c := o.ana(t)
		got = o.app(t, http.MethodPost, "/contacts", object{"inbox_id": o.inbox, "source_id": c.source, "name": "Bo", "identifier": "crm-2"})
		cxRefused(t, got, http.StatusUnprocessableEntity)
		o.has(t, 1)
	}},
	{"025", func(t *testing.T, s *cx) {
		o := s.office(t)
		for i := range 31 {
			o.posts(t, "/contacts", object{"name": fmt.Sprintf("Contact %02d", i), "identifier": fmt.Sprintf("crm-%02d", i)})
		}
		o.posts(t, "/contacts", object{"name": "A passer-by"})
		seen := map[int64]bool{}
		for page, n := range []int{15, 15, 1} {
			list := o.reads(t, fmt.Sprintf("/contacts?page=%d", page+1))
			list.at("meta").is(object{"count": 31, "current_page": fmt.Sprint(page + 1)})
			ids := list.at("payload").integers("id")
			if len(ids) != n {
				t.Errorf("page %d has %d entries, want %d", page+1, len(ids), n)
			}
			for _, id := range ids {
				seen[id] = true
			}
		}
		if len(seen) != 31 {
			t.Errorf("%d contacts on three pages", len(seen))
		}
		o.reads(t, "/contacts").at("meta", "current_page").is(1)
		sorted := o.reads(t, "/contacts?sort=-name&include_contact_inboxes=false").at("payload")
		sorted.at(0, "name").is("Contact 30")
		sorted.at(0, "contact_inboxes").isAbsent()
	}},
}

// has expects so many contacts, counting passers-by.
func (o *cxOffice) has(t *testing.T, n int) {
	t.Helper()
	all := map[int64]bool{}
	for _, q := range []string{"a", "b", "+"} {
		for _, id := range o.reads(t, "/contacts/search?q="+escaped(q)).at("payload").integers("id") {
			all[id] = true
		}
	}
	if len(all) != n {
		t.Errorf("there are %d contacts, want %d", len(all), n)
	}
}
