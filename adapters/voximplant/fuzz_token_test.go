package voximplant

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// No text is a token but those that were issued: what is taken says what its login
// said, and another is refused with 401, whatever algorithm, key or times it names.
func FuzzToken(f *testing.F) {
	m := newMint(&keyring{keys: newWorld(), random: rand.Reader}, rand.Reader, func() time.Time { return noon })
	issued, err := m.issue(context.Background(), acme, channelA, "t1")
	if err != nil {
		f.Fatal(err)
	}
	head, rest, _ := strings.Cut(issued.Access, ".")
	body, signature, _ := strings.Cut(rest, ".")
	text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	plain := func(s string) string {
		raw, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		return string(raw)
	}
	for _, seed := range []string{
		"", ".", "..", head + "." + body + ".", head + ".." + signature, text(`{"alg":"none"}`) + "." + body + ".", issued.Access + ".x", issued.Access + "=",
		text(strings.Replace(plain(head), "HS256", "none", 1)) + "." + body + "." + signature, text(strings.Replace(plain(head), "HS256", "RS256", 1)) + "." + body + "." + signature,
		text(`{"alg":"HS256","kid":{}}`) + "." + body + "." + signature, text(`{"alg":"HS256","kid":"../../etc/passwd"}`) + "." + text(`{"exp":1e400}`) + "." + signature,
		head + "." + text(strings.Replace(plain(body), acme, umbra, 1)) + "." + signature, head + "." + text(`{"exp":"never","aud":[1]}`) + "." + signature, strings.Repeat("A", 70000),
	} {
		f.Add(seed)
	}
	f.Add(issued.Access) // the key is another one in each run: this seeds the form
	f.Add(issued.Refresh)
	f.Fuzz(func(t *testing.T, token string) {
		for kind, ours := range map[string]string{typeAccess: issued.Access, typeRefresh: issued.Refresh} {
			c, err := m.read(token, kind)
			if token == ours {
				if err != nil || c.Subject != acme || c.channel() != channelA || c.APIToken != "t1" || c.Type != kind {
					t.Fatalf("an issued one: %+v, %v", c, err)
				}
				continue
			}
			if domain.CodeOf(err) != domain.CodeUnauthorized || c.Subject != "" || c.Type != "" {
				t.Fatalf("%q is taken for %s: %+v, %v", token, kind, c, err)
			}
		}
	})
}
