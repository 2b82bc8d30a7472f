package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Inboxes.
//
//nolint:thelper // tests, not helpers of tests
var cxInboxCases = []cxCase{
	{"008", func(t *testing.T, s *cx) { s.office(t).makesInbox(t, "Mobile bridge") }},
	{"009", func(t *testing.T, s *cx) {
		o := s.office(t)
		made := o.makesInbox(t, "Night desk")
		list := o.reads(t, "/inboxes").at("payload")
		if found := list.find("name", "Night desk"); !found.at("id").equals(made.at("id").integer()) {
			t.Errorf("%s among %s", made, list)
		}
		var names []string
		for _, inbox := range list.list() {
			names = append(names, strings.ToLower(inbox.at("name").text()))
		}
		if !slices.IsSorted(names) || len(names) != 2 {
			t.Errorf("the inboxes are %q", names)
		}
		// Operators see the inboxes that they are members of, and no secrets.
		bia, _ := o.staff(t, true)
		seen := bia.reads(t, "/inboxes").at("payload")
		if ids := seen.integers("id"); !slices.Equal(ids, []int64{o.inbox}) {
			t.Errorf("an operator sees the inboxes %v, want %d", ids, o.inbox)
		}
		for _, secret := range []string{"hmac_token", "secret"} {
			if v := seen.at(0, secret); !v.missing() && !v.null() {
				t.Errorf("an operator sees %s", v.what)
			}
		}
	}},
	{"010", func(t *testing.T, s *cx) {
		inbox := s.fixture.reads(t, "/inboxes/3/")
		inbox.at("id").is(3)
		inbox.at("name").is(cxInboxName)
		inbox.at("inbox_identifier").is(cxIdentifier)
		inbox.at("hmac_token").is(cxHMACToken)
		inbox.at("secret").is(cxSecret)
		inbox.at("channel_type").is("Channel::Api")
		if same := s.fixture.reads(t, "/inboxes/3.json"); same.String() != inbox.String() {
			t.Errorf("with .json it is %s", same)
		}
	}},
	{"011", func(t *testing.T, s *cx) {
		o := s.office(t)
		bia, _ := o.staff(t, true)
		for _, got := range []answered{
			bia.app(t, http.MethodPost, "/inboxes", object{"name": "Mine", "channel": object{"type": "api"}}),
			bia.app(t, http.MethodPatch, fmt.Sprintf("/inboxes/%d", o.inbox), object{"name": "Mine"}),
		} {
			cxRefused(t, got, http.StatusUnauthorized).is(object{"error": "You are not authorized to do this action"})
		}
		if n := len(o.reads(t, "/inboxes").at("payload").list()); n != 1 {
			t.Errorf("%d inboxes", n)
		}
	}},
	{"012", func(t *testing.T, s *cx) {
		o := s.office(t)
		v := o.talk(t)
		first := o.receiver
		before := len(v.fence(t)) + 1
		second := newCXReceiver(t)
		second.signed(cxSecret)
		changed := o.gets(t, o.app(t, http.MethodPatch, fmt.Sprintf("/inboxes/%d", o.inbox), object{"channel": object{"webhook_url": second.URL}}))
		changed.at("webhook_url").is(second.URL)
		changed.at("secret").is(cxSecret)
		changed.at("name").is(cxInboxName)
		o.receiver = second
		v.hears(t, "where to?")
		if told := v.told(t); !slices.Contains(told, "message_created where to?") {
			t.Errorf("the new URL was told %q", told)
		}
		calls := first.calledFor(v.id)
		for _, call := range calls {
			if strings.Contains(string(call.raw), "where to?") {
				t.Errorf("the old URL was told %s", call.raw)
			}
		}
		if len(calls) < before {
			t.Errorf("%d calls to the old URL, want %d", len(calls), before)
		}
	}},
	{"013", func(t *testing.T, s *cx) {
		o := s.office(t)
		refused := cxRefused(t, o.app(t, http.MethodPost, "/inboxes", object{"name": "", "channel": object{"type": "api"}}), http.StatusUnprocessableEntity)
		refused.at("message").is("Name can't be blank")
		refused.at("attributes").is([]string{"name"})
		if n := len(o.reads(t, "/inboxes").at("payload").list()); n != 1 {
			t.Errorf("%d inboxes", n)
		}
	}},
}

// makesInbox makes an inbox as in channelx.md 4.2.
func (o *cxOffice) makesInbox(t *testing.T, name string) cxValue {
	t.Helper()
	const callback = "https://bridge.example.test/cx"
	made := o.posts(t, "/inboxes/", fmt.Sprintf(`{"name":%q,"channel":{"type":"api","webhook_url":%q}}`, name, callback))
	made.at("name").is(name)
	made.at("channel_type").is("Channel::Api")
	made.at("webhook_url").is(callback)
	secrets := []string{made.at("inbox_identifier").text(), made.at("hmac_token").text(), made.at("secret").text()}
	for _, name := range []string{"inbox_identifier", "hmac_token", "secret"} {
		made.at(name).isToken()
	}
	slices.Sort(secrets)
	if len(slices.Compact(secrets)) != 3 {
		t.Errorf("its secrets are alike: %s", made)
	}
	for name, want := range map[string]any{
		"avatar_url": "", "hmac_mandatory": false, "greeting_enabled": false, "greeting_message": nil, "working_hours_enabled": false,
		"timezone": "UTC", "enable_email_collect": true, "csat_survey_enabled": false, "enable_auto_assignment": true,
		"allow_messages_after_resolved": true, "lock_to_single_conversation": false, "sender_name_type": "friendly", "business_name": nil,
		"callback_webhook_url": nil, "provider": nil, "website_token": nil, "phone_number": nil, "additional_attributes": object{},
	} {
		made.at(name).is(want)
	}
	if days := made.at("working_hours").list(); len(days) != 7 {
		t.Errorf("%d days of working hours", len(days))
	}
	made.at("channel_id").integer()
	return made
}
