//go:build s3

package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-im/parley/adapters/files/s3test"
)

// TestChannelXBucket: files of messages, and uploads of the platform API, are kept
// in the bucket that the settings name, are served from Parley's own address, and
// are there after a restart; nothing is put into the data folder.
func TestChannelXBucket(t *testing.T) {
	t.Parallel()
	endpoint := s3test.Server(t)
	s := newCX(t, func(set *settings) {
		set.FilesS3 = filesS3{Endpoint: endpoint, Bucket: s3test.Bucket, AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey}
	})
	content := bytes.Repeat([]byte("0123456789abcdef"), 9<<16) // 9 MiB: above what the platform API takes
	talk := s.fixture.talk(t)
	message := talk.post(t, cxForm{}.field("content", "a film").file("film 1.mp4", "video/mp4", content))
	url := message.at("attachments", 0, "data_url").text()
	if !strings.HasPrefix(url, s.parley.URL+"/files/") || !strings.HasSuffix(url, "/film%201.mp4") {
		t.Fatalf("the file is at %s", url)
	}
	fetched := s.download(t, url)
	if !bytes.Equal(fetched.raw, content) || fetched.header.Get("Content-Type") != "video/mp4" ||
		!strings.HasPrefix(fetched.header.Get("Content-Security-Policy"), "sandbox;") {
		t.Errorf("%d bytes with %v", len(fetched.raw), fetched.header)
	}
	status, _, raw := s.parley.do(http.MethodPost, "/v1/files?name=a.txt", testToken, "by the platform")
	if status != http.StatusCreated {
		t.Fatalf("upload: %d %s", status, raw)
	}
	if _, err := os.Stat(filepath.Join(s.parley.dir, "files")); !os.IsNotExist(err) {
		t.Errorf("the folder of files: %v", err)
	}
	path := strings.TrimPrefix(url, s.parley.URL)
	s.parley.stop()
	s.parley.start()
	if again := s.download(t, s.parley.URL+path); !bytes.Equal(again.raw, content) {
		t.Errorf("%d bytes after a restart", len(again.raw))
	}
}
