package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Dialect, and files.
//
//nolint:thelper // tests, not helpers of tests
var respondDialectCases = []respondCase{
	{"132", respondNoFiles},
	{"133", func(t *testing.T, s *respondSuite) {
		brand := &respondSuite{parley: s.parley, client: s.client, dialect: "ismessenger"}
		brand.serial.Store(5_000_000)
		for _, c := range []respondCase{
			{"001", respondFirstText},
			{"043", respondLongText},
			{"083", respondTwice},
			{"089", respondReceipts},
			{"102", respondSendText},
			{"114", respondBlocked},
		} {
			t.Run("case_"+c.number, func(t *testing.T) { c.run(t, brand) })
		}
	}},
}

// respondNoFiles stands where case 132 is. The case is about files that the
// platform itself hosts, and this platform hosts none: an attachment is sent by
// reference, so the server is given the very URL that was sent, at a host that is
// not the platform, and fetches it there.
func respondNoFiles(t *testing.T, s *respondSuite) { //nolint:thelper // a test
	bytes := strings.Repeat("0123456789", 100)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "receipt.png", time.Time{}, strings.NewReader(bytes))
	}))
	t.Cleanup(host.Close)
	c := s.channel(t, "phone")
	u := host.URL + "/a/7f3/receipt.png?x=1&y=%2F"
	c.sends(t, s.number(), object{"type": "attachment", "attachment": object{"type": "image", "url": u}})
	if got := c.stub.gets(t, 1)[0].body.Message["attachment"].(object)["url"]; got != u {
		t.Errorf("the server is given %v, want %s", got, u)
	}
}
