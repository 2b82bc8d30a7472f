package main

import (
	"fmt"
	"net/http"
	"testing"
)

// Credentials.
//
//nolint:thelper // tests, not helpers of tests
var cxCredentialCases = []cxCase{
	{"001", func(t *testing.T, s *cx) {
		got := s.send(t, http.MethodGet, "/api/v1/profile", nil, nil)
		if errs := cxRefused(t, got, http.StatusUnauthorized).at("errors").list(); len(errs) != 1 {
			t.Errorf("%s", got.raw)
		}
	}},
	{"002", func(t *testing.T, s *cx) {
		got := s.send(t, http.MethodGet, "/api/v1/profile", cxHeaders{"api_access_token": "wrong"}, nil)
		cxRefused(t, got, http.StatusUnauthorized).is(object{"error": "Invalid Access Token"})
	}},
	{"003", func(t *testing.T, s *cx) { s.fixture.isRui(t, cxHeaders{"api_access_token": s.fixture.token}) }},
	{"004", func(t *testing.T, s *cx) { s.fixture.isRui(t, cxHeaders{"Api-Access-Token": s.fixture.token}) }},
	{"005", func(t *testing.T, s *cx) {
		s.fixture.isRui(t, cxHeaders{"Authorization": "Bearer " + s.fixture.token, "api_access_token": s.fixture.token})
		s.fixture.isRui(t, cxHeaders{"Authorization": "Bearer of something else", "api_access_token": s.fixture.token})
	}},
	{"006", func(t *testing.T, s *cx) {
		other := s.office(t)
		for _, path := range []string{"/inboxes", "/contacts", "/conversations", fmt.Sprintf("/inboxes/%d", s.fixture.inbox)} {
			got := other.call(t, http.MethodGet, "/api/v1/accounts/1"+path, nil)
			cxRefused(t, got, http.StatusUnauthorized).is(object{"error": "You are not authorized to access this account"})
		}
	}},
	{"007", func(t *testing.T, s *cx) {
		for _, path := range []string{"/conversations/99999", "/conversations/99999/messages", "/contacts/99999", "/inboxes/99999"} {
			got := s.fixture.app(t, http.MethodGet, path, nil)
			cxRefused(t, got, http.StatusNotFound).is(object{"error": "Resource could not be found"})
		}
	}},
}

// isRui expects the profile of the fixture's operator.
func (o *cxOffice) isRui(t *testing.T, headers cxHeaders) {
	t.Helper()
	profile := o.gets(t, o.suite.send(t, http.MethodGet, "/api/v1/profile", headers, nil))
	profile.at("id").is(4)
	profile.at("name").is("Rui Costa")
	profile.at("email").is("rui@example.test")
	profile.at("pubsub_token").isToken()
	profile.at("accounts", 0, "id").is(1)
	profile.at("accounts", 0, "role").is("administrator")
	profile.at("accounts", 0, "status").is("active")
}
