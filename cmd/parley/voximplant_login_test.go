package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Login and refresh.
//
//nolint:thelper // tests, not helpers of tests
var kitLoginCases = []kitCase{
	{"001", func(t *testing.T, s *kit) {
		kitTokens(t, s.login(t, "acme", kitToken, kitChannel))
	}},
	{"002", func(t *testing.T, s *kit) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		if err := form.WriteField("channel_uuid", kitChannel); err != nil {
			t.Fatal(err)
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		kitTokens(t, s.do(t, http.MethodPost, kitLogin+"?domain=acme&access_token="+kitToken,
			map[string]string{"Content-Type": form.FormDataContentType()}, body.String()))
	}},
	{"003", func(t *testing.T, s *kit) {
		kitTokens(t, s.do(t, http.MethodPost, kitLogin+"?domain=acme&access_token="+kitToken,
			map[string]string{"Content-Type": "application/json"}, `{"channel_uuid":"`+kitChannel+`"}`))
	}},
	{"004", func(t *testing.T, s *kit) {
		access, refresh := kitTokens(t, s.login(t, "acme", kitToken, kitChannel))
		for typ, want := range map[string]struct {
			token string
			life  int64
		}{"access": {access, 900}, "refresh": {refresh, 86400}} {
			c := kitClaims(t, want.token)
			if c.Expires-c.Issued != want.life {
				t.Errorf("the %s token lives %d s, want %d", typ, c.Expires-c.Issued, want.life)
			}
			if c.Issuer != "kit-im" || c.Subject != "acme" || !slices.Equal(c.Audience, []string{kitChannel}) || c.Type != typ || c.ID == "" || c.Token == "" {
				t.Errorf("claims of the %s token: %+v", typ, c)
			}
		}
	}},
	{"005", func(t *testing.T, s *kit) {
		for _, query := range []string{"?access_token=" + kitToken + "&domain=acme", "?domain=acme&access_token=" + kitToken} {
			kitTokens(t, s.form(t, kitLogin+query, url.Values{"channel_uuid": {kitChannel}}))
		}
	}},
	{"006", func(t *testing.T, s *kit) {
		const odd = "kt with blank+plus"
		s.acme.must(t, http.MethodPost, "/v1/api-tokens", object{"name": "odd", "value": odd}, http.StatusCreated, nil)
		if query := escaped(odd); !strings.Contains(query, "%20") || !strings.Contains(query, "%2B") {
			t.Fatalf("the token is sent as %s", query)
		}
		kitTokens(t, s.login(t, "acme", odd, kitChannel))
	}},
	{"007", func(t *testing.T, s *kit) {
		kitRefused(t, s.login(t, "acme", "kt_wrong", kitChannel), http.StatusUnauthorized)
	}},
	{"008", func(t *testing.T, s *kit) {
		const own = "kt_of_acme_alone"
		s.acme.must(t, http.MethodPost, "/v1/api-tokens", object{"name": "own", "value": own}, http.StatusCreated, nil)
		kitTokens(t, s.login(t, "acme", own, kitChannel))
		kitRefused(t, s.login(t, "umbra", own, kitChannel), http.StatusUnauthorized)
		kitRefused(t, s.login(t, "umbra", own, kitOther), http.StatusUnauthorized)
	}},
	{"009", func(t *testing.T, s *kit) {
		query := "?domain=acme&access_token=" + kitToken
		kitRefused(t, s.form(t, kitLogin+query, nil), http.StatusBadRequest)
		kitRefused(t, s.form(t, kitLogin+query, url.Values{"channel_uuid": {""}}), http.StatusBadRequest)
	}},
	{"010", func(t *testing.T, s *kit) {
		kitRefused(t, s.login(t, "acme", kitToken, kitOther), http.StatusNotFound)
	}},
	{"011", func(t *testing.T, s *kit) {
		access, _ := kitTokens(t, s.login(t, "acme", kitToken, strings.ToUpper(kitChannel)))
		if c := kitClaims(t, access); !slices.Equal(c.Audience, []string{kitChannel}) {
			t.Errorf("for %v", c.Audience)
		}
	}},
	{"012", func(t *testing.T, s *kit) {
		kitTokens(t, s.form(t, "/"+kitLogin+"?domain=acme&access_token="+kitToken, url.Values{"channel_uuid": {kitChannel}}))
	}},
	{"013", func(t *testing.T, s *kit) {
		access, refresh := kitTokens(t, s.login(t, "acme", kitToken, kitChannel))
		newAccess, newRefresh := kitTokens(t, s.refreshes(t, refresh))
		if newAccess == access || newRefresh == refresh {
			t.Error("the same tokens again")
		}
		c := s.acme.channel(t)
		c.access, c.refresh = kitTokens(t, s.refreshes(t, c.refresh))
		kitAccepted(t, c.post(t, c.says(kitClient, "with new tokens")))
	}},
	{"014", func(t *testing.T, s *kit) {
		access, _ := kitTokens(t, s.login(t, "acme", kitToken, kitChannel))
		kitRefused(t, s.refreshes(t, access), http.StatusUnauthorized)
	}},
	{"015", func(t *testing.T, s *kit) {
		_, refresh := kitTokens(t, s.login(t, "acme", kitToken, kitChannel))
		kitTokens(t, s.refreshes(t, refresh))
		kitTokens(t, s.refreshes(t, refresh))
	}},
	{"017", func(t *testing.T, s *kit) {
		const brief = "kt_soon_revoked"
		var made struct {
			ID string `json:"id"`
		}
		s.acme.must(t, http.MethodPost, "/v1/api-tokens", object{"name": "brief", "value": brief}, http.StatusCreated, &made)
		c := s.acme.channel(t, object{"api_token": brief})
		kitTokens(t, s.refreshes(t, c.refresh))
		kitAccepted(t, c.post(t, c.says(kitClient, "before")))
		s.acme.must(t, http.MethodDelete, "/v1/api-tokens/"+made.ID, nil, http.StatusNoContent, nil)
		kitRefused(t, s.refreshes(t, c.refresh), http.StatusUnauthorized)
		kitRefused(t, c.post(t, c.says(kitClient, "after")), http.StatusUnauthorized)
		kitRefused(t, s.login(t, "acme", brief, c.id), http.StatusUnauthorized)
		if all := c.messages(t, kitClient); len(all) != 1 {
			t.Errorf("%d messages", len(all))
		}
	}},
	{"018", func(t *testing.T, s *kit) {
		got := s.do(t, http.MethodGet, kitLogin+"?domain=acme&access_token="+kitToken, nil, "")
		kitRefused(t, got, http.StatusMethodNotAllowed)
		if allow := got.header.Get("Allow"); allow != "POST" {
			t.Errorf("Allow is %q", allow)
		}
	}},
}

// refreshes asks for new tokens.
func (s *kit) refreshes(t *testing.T, refresh string) answered {
	t.Helper()
	return s.form(t, kitRefresh, url.Values{"refresh_token": {refresh}})
}

// claims are what a token says (voximplant-kit.md 3.3).
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience []string `json:"aud"`
	Type     string   `json:"typ"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	ID       string   `json:"jti"`
	Token    string   `json:"kid_api"`
}

// kitClaims reads a token as a client does, without the key.
func kitClaims(t *testing.T, token string) (c claims) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return c
}
