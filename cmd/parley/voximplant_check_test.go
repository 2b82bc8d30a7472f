package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// The checks of the callback and the signature.
//
//nolint:thelper // tests, not helpers of tests
var kitCheckCases = []kitCase{
	{"042", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		checks := c.stub.checks()
		if len(checks) != 1 {
			t.Fatalf("%d checks", len(checks))
		}
		isCheck(t, checks[0], http.MethodGet, "f6b1313bde919db97537d3815c82166b")
		if len(checks[0].raw) != 0 {
			t.Errorf("with a body: %q", checks[0].raw)
		}
		s.acme.must(t, http.MethodGet, "/v1/channels/"+c.id, nil, http.StatusOK, nil)
	}},
	{"043", func(t *testing.T, s *kit) {
		stub := newKitStub(t)
		stub.checked(func(call kitCall, w http.ResponseWriter) {
			if call.method == http.MethodGet {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		})
		c := s.acme.channelAt(t, stub, s.acme.channelBody(t, stub))
		checks := stub.checks()
		if len(checks) != 2 {
			t.Fatalf("%d checks", len(checks))
		}
		isCheck(t, checks[0], http.MethodGet, "f6b1313bde919db97537d3815c82166b")
		isCheck(t, checks[1], http.MethodPost, "f6b1313bde919db97537d3815c82166b")
		s.acme.must(t, http.MethodGet, "/v1/channels/"+c.id, nil, http.StatusOK, nil)
	}},
	{"044", func(t *testing.T, s *kit) {
		stub := newKitStub(t)
		stub.signed(kitSalt, kitToken)
		stub.checked(func(_ kitCall, w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) })
		body := s.acme.channelBody(t, stub, object{"id": "0c8a523f-6a1d-4c0e-9a77-0d6f4f1b2c44"})
		kitUnsaved(t, s.acme.api(t, http.MethodPost, "/v1/channels", body), "500")
		s.acme.must(t, http.MethodGet, "/v1/channels/0c8a523f-6a1d-4c0e-9a77-0d6f4f1b2c44", nil, http.StatusNotFound, nil)
		stub.Close() // and where nobody listens, the cause is told, too
		kitUnsaved(t, s.acme.api(t, http.MethodPost, "/v1/channels", body), "refused")
		body["save_anyway"] = true
		s.acme.must(t, http.MethodPost, "/v1/channels", body, http.StatusCreated, nil)
	}},
	{"045", func(t *testing.T, s *kit) {
		const other = "kt_NEW_91c0d2"
		c := s.acme.channel(t)
		var made struct {
			ID string `json:"id"`
		}
		s.acme.must(t, http.MethodPost, "/v1/api-tokens", object{"name": "new", "value": other}, http.StatusCreated, &made)
		c.stub.signed(kitSalt, other)
		c.change(t, object{"api_token_id": made.ID})
		checks := c.stub.checks()
		if len(checks) != 2 {
			t.Fatalf("%d checks", len(checks))
		}
		isCheck(t, checks[1], http.MethodGet, "5bec0044e287bf63078b02808c0b8e01")
		// What is not about the callback is saved without a check.
		c.change(t, object{"name": "renamed"})
		// Events are signed with the new token from now on.
		c.replies(t, c.hears(t, kitClient, "hello"), "signed anew")
		c.stub.gets(t, 1)
		if n := len(c.stub.checks()); n != 2 {
			t.Errorf("%d checks", n)
		}
	}},
	{"046", func(t *testing.T, s *kit) {
		// The receiver verifies with the published vectors' own function.
		const event = "0b6f3c1e-8d52-4a7e-9f10-2f6f1a7b9c01"
		for want, parts := range map[string][]string{
			"f6b1313bde919db97537d3815c82166b": {kitSalt, kitToken},
			"1c7ce084edfaf31142a459bb1b5a345a": {kitSalt, kitToken, event},
			"576c49330c918308f73711d6b9f449e1": {kitSalt, kitToken, "7c1d9a40-53be-4f0e-8a6b-91d2e3f4a5b6"},
			"0b0e84a4790442c74fc53b5784ee97e6": {kitSalt, kitToken, "evt-1"},
			"a2187d4f39a9d95f70f07983696afe19": {kitSalt, kitToken, "123"},
			"5bec0044e287bf63078b02808c0b8e01": {kitSalt, "kt_NEW_91c0d2"},
			"c983dd43dadb29ae17599039b8990c80": {kitSalt, "kt_NEW_91c0d2", event},
			"756caeb3607b8479ce1f282dd1dd5b80": {"9c0e55d2a1b74e6f", "api-token-ÄÖ-7", "42"},
			"772dda362f142c6c96071ea799170850": {kitSalt + ": " + kitToken + ": " + event}, // the mistake with blanks
		} {
			if got := kitSign(parts...); got != want {
				t.Errorf("%q is signed %s, want %s", parts, got, want)
			}
		}
		c := s.acme.channel(t)
		c.replies(t, c.hears(t, kitClient, "hello"), "signed")
		call := c.stub.gets(t, 1)[0]
		if got := call.header.Get("Authorization"); got != kitSign(kitSalt, kitToken, call.id) || got == kitSign(kitSalt+": "+kitToken+": "+call.id) {
			t.Errorf("event %s is signed %s", call.id, got)
		}
	}},
	{"047", func(t *testing.T, s *kit) {
		c := s.acme.channel(t)
		v := c.hears(t, kitClient, "hello")
		for _, text := range []string{"one", "two", "three"} {
			c.replies(t, v, text)
		}
		c.closes(t, v)
		seen := map[string]bool{}
		for _, call := range c.stub.gets(t, 4) {
			var body struct {
				EventID string `json:"event_id"`
			}
			if err := json.Unmarshal(call.raw, &body); err != nil {
				t.Fatal(err)
			}
			if got, want := call.header.Get("Authorization"), kitSign(kitSalt, kitToken, body.EventID); got != want {
				t.Errorf("%s is signed %s, want %s", call.raw, got, want)
			}
			if seen[body.EventID] {
				t.Errorf("event_id %s is there twice", body.EventID)
			}
			seen[body.EventID] = true
		}
	}},
	{"048", func(t *testing.T, s *kit) {
		const salt, token = "9c0e55d2a1b74e6f", "api-token-ÄÖ-7"
		c := s.acme.channel(t, object{"security_salt": salt, "api_token": token})
		isCheck(t, c.stub.checks()[0], http.MethodGet, kitSign(salt, token))
		c.replies(t, c.hears(t, kitClient, "hello"), "signed")
		call := c.stub.gets(t, 1)[0]
		if got := call.header.Get("Authorization"); got != kitSign(salt, token, call.id) {
			t.Errorf("signed %s", got)
		}
		if kitSign(salt, token, "42") != "756caeb3607b8479ce1f282dd1dd5b80" {
			t.Error("the row of 5.2 comes out otherwise")
		}
	}},
}

// isCheck expects a check request.
func isCheck(t *testing.T, call kitCall, method, digest string) {
	t.Helper()
	if call.method != method || call.header.Get("Authorization") != digest || call.uri != "/" {
		t.Errorf("%s %s signed %s, want %s signed %s", call.method, call.uri, call.header.Get("Authorization"), method, digest)
	}
	if method == http.MethodPost && string(call.raw) != "{}" {
		t.Errorf("with body %q", call.raw)
	}
}

// kitUnsaved expects that a channel was refused because of its check.
func kitUnsaved(t *testing.T, got answered, cause string) {
	t.Helper()
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(string(got.raw), cause) || got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s, want 422 with %q", got.status, got.raw, cause)
	}
}
