package voximplant

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/parley-im/parley/domain"
)

const loginPath = "/api/v3/botService/login"

// Ensure each body encoding logs in, with the credentials in the query or in the
// body, whatever the header says of it.
func TestLoginEncodings(t *testing.T) {
	t.Parallel()
	var many bytes.Buffer
	parts := multipart.NewWriter(&many)
	for name, text := range map[string]string{"channel_uuid": channelA, "domain": acme, "access_token": theToken} {
		if err := parts.WriteField(name, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := parts.Close(); err != nil {
		t.Fatal(err)
	}
	pairs := url.Values{"channel_uuid": {channelA}, "domain": {acme}, "access_token": {theToken}}.Encode()
	object := `{"channel_uuid":"` + channelA + `","domain":"acme","access_token":"` + theToken + `"}`
	query := "?access_token=" + theToken + "&domain=acme"
	for _, c := range []struct{ name, query, kind, body string }{
		{"urlencoded", query, "application/x-www-form-urlencoded", "channel_uuid=" + channelA},
		{"urlencoded, with a charset", query, "application/x-www-form-urlencoded; charset=UTF-8", "channel_uuid=" + channelA},
		{"urlencoded, all in the body", "", "application/x-www-form-urlencoded", pairs},
		{"multipart", "", parts.FormDataContentType(), many.String()},
		{"multipart beside the query", query, parts.FormDataContentType(), many.String()},
		{"JSON", query, "application/json", `{"channel_uuid":"` + channelA + `"}`},
		{"JSON, all in the body", "", "application/json; charset=utf-8", object},
		{"no header, pairs", "", "", pairs},
		{"no header, JSON", "", "", " " + object},
		{"text", query, "text/plain", "channel_uuid=" + channelA},
		{"the query wins", query, "application/json", strings.Replace(object, "kt_4", "kt_5", 1)},
		{"half and half", "?domain=acme", "application/json", object},
		{"capitals", query, "application/json", strings.ToUpper(`{"x":"`) + `","channel_uuid":"` + strings.ToUpper(channelA) + `"}`},
		{"blanks around", query, "application/x-www-form-urlencoded", "channel_uuid=%20" + channelA + "%0A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openDoor(t)
			tokens(t, w.do(http.MethodPost, loginPath+c.query, c.body, "Content-Type", c.kind))
			tokens(t, w.do(http.MethodPost, loginPath+"/"+c.query, c.body, "Content-Type", c.kind))
		})
	}
}

// Ensure a token with a space and a plus is read as clients escape it, and that
// any token of the account will do.
func TestLoginEscapes(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	tokens(t, w.do(http.MethodPost, loginPath+"?domain=acme&access_token=kt%20with%20blank%2Bplus", "channel_uuid="+channelA,
		"Content-Type", "application/x-www-form-urlencoded"))
}

// Ensure the table of section 8.1 holds, in its order.
func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	good := "?domain=acme&access_token=" + theToken
	long := strings.Repeat("a", maxForm)
	for _, c := range []struct {
		name, query, body string
		status            int
	}{
		{"no domain", "?access_token=" + theToken, "channel_uuid=" + channelA, 400},
		{"empty domain", "?domain=&access_token=" + theToken, "channel_uuid=" + channelA, 400},
		{"no token", "?domain=acme", "channel_uuid=" + channelA, 400},
		{"unknown account", "?domain=nobody&access_token=" + theToken, "channel_uuid=" + channelA, 401},
		{"wrong token", "?domain=acme&access_token=kt_wrong", "channel_uuid=" + channelA, 401},
		{"revoked token", "?domain=acme&access_token=kt_revoked", "channel_uuid=" + channelA, 401},
		{"token of another account", "?domain=umbra&access_token=" + theToken, "channel_uuid=" + channelU, 401},
		{"disabled account", "?domain=asleep&access_token=kt_asleep", "channel_uuid=" + channelA, 401},
		{"wrong token before a missing channel", "?domain=acme&access_token=kt_wrong", "", 401},
		{"wrong token before a long body", "?domain=acme&access_token=kt_wrong", long + "a", 401},
		{"no channel", good, "", 400},
		{"empty channel", good, "channel_uuid=", 400},
		{"not a UUID", good, "channel_uuid=7", 404},
		{"another spelling of a UUID", good, "channel_uuid=" + strings.ReplaceAll(channelA, "-", ""), 404},
		{"unknown channel", good, "channel_uuid=" + strangers, 404},
		{"channel of another account", good, "channel_uuid=" + channelU, 404},
		{"channel of another dialect", good, "channel_uuid=" + channelR, 404},
		{"disabled channel", good, "channel_uuid=" + channelA2, 403},
		{"64 KiB and a byte", good, long + "a", 413},
		{"64 KiB", good, long, 400},
		{"JSON that is none", good, "{", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openDoor(t)
			revoked := noon
			w.tokens = append(w.tokens, domain.APIToken{ID: "t3", Account: acme, Value: "kt_revoked", RevokedAt: &revoked},
				domain.APIToken{ID: "a1", Account: "asleep", Value: "kt_asleep"})
			w.accounts["asleep"] = domain.Account{Name: "asleep", Disabled: true}
			off := w.channels[channelA2]
			off.Disabled = true
			w.channels[channelA2] = off
			got := w.do(http.MethodPost, loginPath+c.query, c.body)
			told := refusedWith(t, got, c.status)
			if strings.Contains(told+w.said.String(), theToken) {
				t.Errorf("a secret is told: %s, %s", told, w.said)
			}
			if c.status == 401 && told != "domain or access_token is wrong" {
				t.Errorf("what is wrong is told: %s", told)
			}
		})
	}
}

// Ensure other methods are refused in the envelope on every path.
func TestOnlyPost(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	for _, path := range []string{
		loginPath, "/api/v3/botService/refreshToken", "/api/v3/botService/sendResponse", "/" + channelA, "/" + strangers, "/" + channelA + "/",
		"/api/v3/" + channelA, "/api/v3/botService/callback/" + channelA,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			got := w.do(method, path, "")
			refusedWith(t, got, http.StatusMethodNotAllowed)
			if got.Header().Get("Allow") != "POST" {
				t.Errorf("%s %s: Allow is %q", method, path, got.Header().Get("Allow"))
			}
		}
	}
}

// Ensure the 61st failed login of a minute is turned away, with the right token
// too, while other addresses and the next minute are free.
func TestLoginLimit(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	for range maxFailures / 2 {
		tokens(t, w.login(acme, theToken, channelA)) // does not count
		refusedWith(t, w.login(acme, "kt_wrong", channelA), http.StatusUnauthorized)
		refusedWith(t, w.login(acme, theToken, strangers), http.StatusNotFound)
	}
	w.now = noon.Add(20*time.Second + time.Millisecond)
	got := w.login(acme, theToken, channelA)
	refusedWith(t, got, http.StatusTooManyRequests)
	if after := got.Header().Get("Retry-After"); after != "40" {
		t.Errorf("Retry-After is %s", after)
	}
	r := httptest.NewRequest(http.MethodPost, loginPath+"?domain=acme&access_token="+theToken, strings.NewReader("channel_uuid="+channelA))
	r.RemoteAddr = "192.0.2.2:1"
	elsewhere := httptest.NewRecorder()
	w.mux.ServeHTTP(elsewhere, r)
	tokens(t, elsewhere)
	w.now = noon.Add(time.Minute)
	tokens(t, w.login(acme, theToken, channelA))
}

// Ensure the limiter's memory is bounded, and that a network of IPv6 counts as
// one address.
func TestLimiter(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	for i := range maxAddresses + 500 {
		l.failed(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), noon)
	}
	if len(l.addresses) > maxAddresses {
		t.Errorf("%d addresses", len(l.addresses))
	}
	l.failed("192.0.2.1:1", noon.Add(2*time.Minute))
	if len(l.addresses) != 1 {
		t.Errorf("%d addresses after two minutes", len(l.addresses))
	}
	for i := range maxFailures {
		l.failed(fmt.Sprintf("[2001:db8::%x]:1", i), noon)
		l.failed("nonsense", noon)
	}
	for remote, want := range map[string]bool{
		"[2001:db8::ffff]:9": true, "[2001:db8:0:1::1]:9": false, "elsewhere": true, "192.0.2.1:5": false, "[::ffff:192.0.2.1]:5": false,
	} {
		if got := l.blocked(remote, noon) > 0; got != want {
			t.Errorf("%s is blocked: %v", remote, got)
		}
	}
}

func claimsOf(t *testing.T, token string) jwt.MapClaims {
	t.Helper()
	var c jwt.MapClaims
	parsed, _, err := jwt.NewParser().ParseUnverified(token, &c)
	if err != nil || parsed.Method.Alg() != "HS256" || parsed.Header["kid"] == "" || parsed.Header["kid"] == nil {
		t.Fatalf("%v %v", err, parsed)
	}
	return c
}

// Ensure tokens say what section 3.3 says they do.
func TestTokens(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	w.now = noon.Add(999 * time.Millisecond)
	got := tokens(t, w.login(acme, theToken, channelA))
	for kind, c := range map[string]struct {
		token string
		life  float64
	}{typeAccess: {got.Access, 900}, typeRefresh: {got.Refresh, 86400}} {
		m := claimsOf(t, c.token)
		aud, _ := m["aud"].([]any)
		if m["iss"] != "kit-im" || m["sub"] != acme || len(aud) != 1 || aud[0] != channelA || m["typ"] != kind || m["kid_api"] != "t1" ||
			m["iat"] != float64(noon.Unix()) || m["exp"] != float64(noon.Unix())+c.life || m["jti"] == "" {
			t.Errorf("%s: %v", kind, m)
		}
	}
	if len(w.keys) != 1 || w.keys[0].Purpose != domain.KeyLogin || len(w.keys[0].Secret) != 32 {
		t.Errorf("keys %+v", w.keys)
	}
	again := tokens(t, w.login(acme, theToken, channelA))
	if len(w.keys) != 1 || again.Access == got.Access {
		t.Errorf("%d keys, or the same token", len(w.keys))
	}
}

// Ensure the newest key signs, older ones still count, and one that is gone
// does not.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	old := tokens(t, w.login(acme, theToken, channelA))
	w.keys = append([]domain.SignKey{{ID: "new", Purpose: domain.KeyLogin, Secret: bytes.Repeat([]byte{7}, 32)}}, w.keys...)
	fresh := tokens(t, w.renews(old.Refresh))
	parsed, _, err := jwt.NewParser().ParseUnverified(fresh.Access, jwt.MapClaims{})
	if err != nil || parsed.Header["kid"] != "new" {
		t.Errorf("%v %v", err, parsed.Header)
	}
	tokens(t, w.renews(fresh.Refresh))
	w.keys = w.keys[:1]
	refusedWith(t, w.renews(old.Refresh), http.StatusUnauthorized)
	w.keys = nil
	w.noKeys = errors.New("the log is away")
	refusedWith(t, w.login(acme, theToken, channelA), http.StatusInternalServerError)
}

// Ensure the table of section 8.2 holds.
func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	forged := func(w *doorway, change func(*jwt.Token, *claims) any) string {
		c := claims{RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: acme, Audience: jwt.ClaimStrings{channelA}, ExpiresAt: jwt.NewNumericDate(noon.Add(time.Hour)),
		}, Type: typeRefresh, APIToken: "t1"}
		token := jwt.New(jwt.SigningMethodHS256)
		token.Header["kid"] = w.keys[0].ID
		key := change(token, &c)
		token.Claims = c
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for _, c := range []struct {
		name   string
		status int
		token  func(w *doorway, given pair) string
	}{
		{"missing", 400, func(*doorway, pair) string { return "" }},
		{"malformed", 401, func(*doorway, pair) string { return "abc" }},
		{"an access token", 401, func(_ *doorway, p pair) string { return p.Access }},
		{"another signature", 401, func(_ *doorway, p pair) string { return p.Refresh[:len(p.Refresh)-4] + "AAAA" }},
		{"expired to the second", 401, func(w *doorway, p pair) string { w.now = noon.Add(24 * time.Hour); return p.Refresh }},
		{"a second before that", 200, func(w *doorway, p pair) string { w.now = noon.Add(24*time.Hour - time.Second); return p.Refresh }},
		{"API token revoked", 401, func(w *doorway, p pair) string { at := noon; w.tokens[0].RevokedAt = &at; return p.Refresh }},
		{"API token gone", 401, func(w *doorway, p pair) string { w.tokens = w.tokens[1:]; return p.Refresh }},
		{"channel deleted", 401, func(w *doorway, p pair) string { delete(w.channels, channelA); return p.Refresh }},
		{"channel of another dialect", 401, func(w *doorway, p pair) string {
			ch := w.channels[channelA]
			ch.Dialect = domain.DialectRespondIO
			w.channels[channelA] = ch
			return p.Refresh
		}},
		{"channel disabled", 403, func(w *doorway, p pair) string {
			ch := w.channels[channelA]
			ch.Disabled = true
			w.channels[channelA] = ch
			return p.Refresh
		}},
		{"account disabled", 401, func(w *doorway, p pair) string {
			w.accounts[acme] = domain.Account{Name: acme, Disabled: true}
			return p.Refresh
		}},
		{"forged well", 200, func(w *doorway, _ pair) string {
			return forged(w, func(*jwt.Token, *claims) any { return w.keys[0].Secret })
		}},
		{"no signature", 401, func(w *doorway, _ pair) string {
			return forged(w, func(token *jwt.Token, _ *claims) any {
				token.Method = jwt.SigningMethodNone
				token.Header["alg"] = "none"
				return jwt.UnsafeAllowNoneSignatureType
			})
		}},
		{"another algorithm", 401, func(w *doorway, _ pair) string {
			return forged(w, func(token *jwt.Token, _ *claims) any {
				token.Method = jwt.SigningMethodHS512
				token.Header["alg"] = "HS512"
				return w.keys[0].Secret
			})
		}},
		{"no key named", 401, func(w *doorway, _ pair) string {
			return forged(w, func(token *jwt.Token, _ *claims) any { delete(token.Header, "kid"); return w.keys[0].Secret })
		}},
		{"unknown key", 401, func(w *doorway, _ pair) string {
			return forged(w, func(token *jwt.Token, _ *claims) any { token.Header["kid"] = "x"; return w.keys[0].Secret })
		}},
		{"another issuer", 401, func(w *doorway, _ pair) string {
			return forged(w, func(_ *jwt.Token, c *claims) any { c.Issuer = "x"; return w.keys[0].Secret })
		}},
		{"no end", 401, func(w *doorway, _ pair) string {
			return forged(w, func(_ *jwt.Token, c *claims) any { c.ExpiresAt = nil; return w.keys[0].Secret })
		}},
		{"no kind", 401, func(w *doorway, _ pair) string {
			return forged(w, func(_ *jwt.Token, c *claims) any { c.Type = ""; return w.keys[0].Secret })
		}},
		{"two channels", 401, func(w *doorway, _ pair) string {
			return forged(w, func(_ *jwt.Token, c *claims) any { c.Audience = append(c.Audience, channelA2); return w.keys[0].Secret })
		}},
		{"channel of another account", 401, func(w *doorway, _ pair) string {
			return forged(w, func(_ *jwt.Token, c *claims) any { c.Audience[0] = channelU; return w.keys[0].Secret })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openDoor(t)
			given := tokens(t, w.login(acme, theToken, channelA))
			got := w.renews(c.token(w, given))
			if c.status == http.StatusOK {
				tokens(t, got)
				return
			}
			refusedWith(t, got, c.status)
		})
	}
}

// Ensure a refresh leaves the older tokens as they are.
func TestRefreshTwice(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	given := tokens(t, w.login(acme, theToken, channelA))
	one, two := tokens(t, w.renews(given.Refresh)), tokens(t, w.renews(given.Refresh))
	if one.Access == two.Access || one.Refresh == given.Refresh || one.Access == given.Access {
		t.Error("the same tokens again")
	}
	w.takenAs(t, w.do(http.MethodPost, "/"+channelA, minimal, "Authorization", "Bearer "+given.Access))
	refusedWith(t, w.do(http.MethodPost, "/api/v3/botService/refreshToken", strings.Repeat("a", maxForm+1)), http.StatusRequestEntityTooLarge)
}

// Ensure a token that is known by sight is turned away all the same once it has
// expired, its key is gone or it is used in place of another kind, and that few
// are known.
func TestKnownTokens(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	p := tokens(t, w.login(acme, theToken, channelA))
	post := func(token string) *httptest.ResponseRecorder {
		return w.do(http.MethodPost, "/"+channelA, minimal, "Authorization", "Bearer "+token)
	}
	w.takenAs(t, post(p.Access))
	w.takenAs(t, post(p.Access))
	tokens(t, w.renews(p.Refresh))
	refusedWith(t, post(p.Refresh), http.StatusUnauthorized)
	refusedWith(t, w.renews(p.Access), http.StatusUnauthorized)
	w.now = noon.Add(15 * time.Minute)
	refusedWith(t, post(p.Access), http.StatusUnauthorized)
	w.now = noon
	w.takenAs(t, post(p.Access))
	keys := w.keys
	w.keys = nil
	refusedWith(t, post(p.Access), http.StatusUnauthorized)
	w.keys = keys
	for i := range maxKnown + 100 {
		w.door.mint.known.keep([32]byte{byte(i), byte(i >> 8)}, claims{}, "")
	}
	if n := len(w.door.mint.known.tokens); n > maxKnown {
		t.Errorf("%d tokens are known", n)
	}
	w.takenAs(t, post(p.Access))
}
