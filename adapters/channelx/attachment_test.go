package channelx

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// picture is a PNG of 3 by 2 points.
func picture(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Ensure a file is what it was declared to be, unless its content says that it is
// something that runs.
func TestDescribe(t *testing.T) {
	t.Parallel()
	png := picture(t)
	for _, c := range []struct{ name, declared, content, wantName, wantType, wantKind string }{
		{"a.png", "image/png", png, "a.png", "image/png", kindImage},
		{"a.png", "", png, "a.png", "image/png", kindImage},
		{"a", "", png, "a.png", "image/png", kindImage},
		{"a.png", "application/octet-stream", png, "a.png", "image/png", kindImage},
		{"a.jpg", "image/jpg", "\xff\xd8\xff", "a.jpg", "image/jpg", kindImage},
		{"a.svg", "image/svg+xml", "<svg/>", "a.svg", "image/svg+xml", kindFile},
		{"a.tiff", "image/tiff", "II*\x00", "a.tiff", "image/tiff", kindFile},
		{"clip.mov", "video/quicktime", "....", "clip.mov", "video/quicktime", kindVideo},
		{"clip.avi", "video/x-msvideo", "....", "clip.avi", "video/x-msvideo", kindFile},
		{"voice", "audio/ogg; codecs=opus", "OggS", "voice.ogg", "audio/ogg; codecs=opus", kindAudio},
		{"notes.txt", "text/plain", "<html>", "notes.txt", "text/plain", kindFile},
		{"page.html", "text/html", "<html>", "page.html", "text/html", kindFile},
		// Lies.
		{"cat.png", "image/png", "<!DOCTYPE html><script>alert(1)</script>", "cat.png", unknownType, kindFile},
		{"cat.png", "image/png", "MZ\x90\x00", "cat.png", unknownType, kindFile},
		{"song.mp3", "audio/mpeg", "#!/bin/sh\nrm", "song.mp3", unknownType, kindFile},
		{"cat.png", "", "\x7fELF\x02", "cat.png", unknownType, kindFile},
		// Names.
		{`..\..\evil.png`, "image/png", png, "evil.png", "image/png", kindImage},
		{"/etc/passwd", "text/plain", "x", "passwd.txt", "text/plain", kindFile},
		{".htaccess", "text/plain", "x", "htaccess.txt", "text/plain", kindFile},
		{"a\r\nb\x00.png", "image/png", png, "ab.png", "image/png", kindImage},
		{"", "image/png", png, "file.png", "image/png", kindImage},
		{"...", "", "x", "file", "text/plain; charset=utf-8", kindFile},
		{strings.Repeat("é", 300) + ".pdf", "application/pdf", "%PDF", strings.Repeat("é", (maxFileName-4)/2) + ".pdf", "application/pdf", kindFile},
	} {
		content := strings.NewReader(c.content)
		got, err := describe(c.name, c.declared, content)
		if err != nil {
			t.Fatal(err)
		}
		if c.wantName == "file" {
			got.Name = strings.TrimSuffix(got.Name, ".txt")
		}
		if got.Name != c.wantName || got.ContentType != c.wantType || got.Kind != c.wantKind {
			t.Errorf("%q declared as %q is %q, %q, %s; want %q, %q, %s", c.name, c.declared, got.Name, got.ContentType, got.Kind, c.wantName, c.wantType, c.wantKind)
		}
		if content.Len() != len(c.content) {
			t.Errorf("%q is not at its beginning any more", c.name)
		}
		if c.content == png && c.wantKind == kindImage && (got.Width != 3 || got.Height != 2) {
			t.Errorf("%q is %d by %d", c.name, got.Width, got.Height)
		}
	}
}

// Ensure files are kept before their message is told, and described with it.
func TestMessageWithFiles(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	path := w.conversation(t, w.ana(t)) + "/messages"
	png := picture(t)
	status, message := w.posts(t, path,
		formPart{name: "content", content: "two files"}, formPart{name: "message_type", content: "incoming"}, formPart{name: "is_voice_message", content: "true"},
		formPart{name: "attachments[]", file: "a.png", contentType: "image/png", content: png},
		formPart{name: "attachments[]", file: "note.ogg", contentType: "audio/ogg", content: "OggS"},
	)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, message)
	}
	first := at(t, message, "attachments", 0)
	url, _ := at(t, first, "data_url").(string)
	if at(t, first, "file_type") != "image" || at(t, first, "extension") != "png" || at(t, first, "file_size") != float64(len(png)) ||
		at(t, first, "width") != 3.0 || at(t, first, "height") != 2.0 || at(t, first, "thumb_url") != url || !strings.HasSuffix(url, "/a.png") {
		t.Errorf("%v", first)
	}
	if kept := w.files[url]; kept.contentType != "image/png" || string(kept.content) != png {
		t.Errorf("kept %q of %d bytes", kept.contentType, len(kept.content))
	}
	second := at(t, message, "attachments", 1)
	if at(t, second, "file_type") != "audio" || at(t, second, "transcribed_text") != "" || at(t, second, "id") == at(t, first, "id") {
		t.Errorf("%v", second)
	}
	var voices []bool
	for _, p := range w.ledger.posts {
		for _, f := range p.Files {
			voices = append(voices, f.Voice)
		}
	}
	if !slices.Equal(voices, []bool{false, true}) {
		t.Errorf("voices: %v", voices)
	}
}

// Ensure a message with a file that is refused is not there, and nothing is kept.
func TestFilesRefused(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	source := w.ana(t)
	path := w.conversation(t, source) + "/messages"
	good := formPart{name: "attachments[]", file: "a.txt", contentType: "text/plain", content: "x"}
	for name, parts := range map[string][]formPart{
		"one too large": {good, {name: "attachments[]", file: "b.bin", content: strings.Repeat("x", 1<<20+1)}},
		"one empty":     {good, {name: "attachments[]", file: "b.bin"}},
		"too many":      slices.Repeat([]formPart{good}, maxFiles+1),
	} {
		status, answer := w.posts(t, path, parts...)
		if text, _ := at(t, answer, "error").(string); status != http.StatusUnprocessableEntity || !strings.HasPrefix(text, "Validation failed: Attachments ") {
			t.Errorf("%s: %d %v", name, status, answer)
		}
		status, answer = w.posts(t, clientPath+"/contacts/"+source+path, parts...)
		if status != http.StatusUnprocessableEntity || at(t, answer, "attributes", 0) != "attachments" {
			t.Errorf("%s of a contact: %d %v", name, status, answer)
		}
	}
	if len(w.files) != 0 || len(w.ledger.posts) != 0 {
		t.Errorf("%d files and %d messages are there", len(w.files), len(w.ledger.posts))
	}
	status, answer := w.posts(t, path, slices.Repeat([]formPart{good}, maxFiles)...)
	if list, _ := at(t, answer, "attachments").([]any); status != http.StatusOK || len(list) != maxFiles {
		t.Errorf("%s files: %d %v", strconv.Itoa(maxFiles), status, answer)
	}
}

// keepsNone refuses files.
type keepsNone struct{}

func (keepsNone) Keep(context.Context, string, string, io.Reader) (string, int64, error) {
	return "", 0, domain.Errorf(domain.CodeInvalid, "no files here")
}

// Ensure a node that keeps no files says so.
func TestNoFiles(t *testing.T) {
	t.Parallel()
	w := newCounter(t, func(c *Config) { c.Keeper = keepsNone{} })
	path := w.conversation(t, w.ana(t)) + "/messages"
	status, answer := w.posts(t, path, formPart{name: "attachments[]", file: "a.txt", content: "x"})
	if status != http.StatusUnprocessableEntity || at(t, answer, "error") != "Validation failed: Attachments are invalid: no files here" {
		t.Errorf("%d %v", status, answer)
	}
	if status, answer = w.posts(t, path, formPart{name: "content", content: "without"}); status != http.StatusOK {
		t.Errorf("%d %v", status, answer)
	}
}
