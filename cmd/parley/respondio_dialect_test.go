package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Dialect, and files.
//
//nolint:thelper // tests, not helpers of tests
var respondDialectCases = []respondCase{
	{"132", respondHostedFile},
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

// respondHostedFile uploads a file, sends it, and fetches it from the URL that
// the server was given, as a messenger does: without credentials, twice, by HEAD
// and in part.
func respondHostedFile(t *testing.T, s *respondSuite) { //nolint:thelper // a test
	content := "%PDF-1.7 " + strings.Repeat("0123456789", 100)
	made := s.do(t, http.MethodPost, "/v1/files?name=inv-88.pdf", map[string]string{
		"Authorization": "Bearer " + s.parley.Token, "Content-Type": "application/pdf",
	}, content)
	var file struct {
		URL      string `json:"url"`
		FileName string `json:"fileName"`
	}
	if err := json.Unmarshal(made.raw, &file); err != nil || made.status != http.StatusCreated {
		t.Fatalf("upload: %d %s", made.status, made.raw)
	}
	c := s.channel(t, "phone")
	c.sends(t, s.number(), object{"type": "attachment", "attachment": object{"type": "file", "url": file.URL, "fileName": file.FileName}})
	given, _ := c.stub.gets(t, 1)[0].body.Message["attachment"].(object)["url"].(string)
	if given != file.URL || !strings.HasSuffix(given, ".pdf") {
		t.Fatalf("the server is given %s, want %s", given, file.URL)
	}
	path := strings.TrimPrefix(given, s.parley.URL)
	for _, f := range []struct {
		method, part string
		status       int
		body         string
	}{
		{http.MethodGet, "", http.StatusOK, content},
		{http.MethodGet, "", http.StatusOK, content},
		{http.MethodHead, "", http.StatusOK, ""},
		{http.MethodGet, "bytes=0-7", http.StatusPartialContent, "%PDF-1.7"},
	} {
		headers := map[string]string{}
		if f.part != "" {
			headers["Range"] = f.part
		}
		a := s.do(t, f.method, path, headers, "")
		disposition := a.header.Get("Content-Disposition")
		if a.status != f.status || string(a.raw) != f.body || a.header.Get("Content-Type") != "application/pdf" ||
			(disposition != "" && disposition != "inline") {
			t.Errorf("%s %s: %d, type %q, disposition %q, %d bytes", f.method, f.part, a.status,
				a.header.Get("Content-Type"), disposition, len(a.raw))
		}
	}
}
