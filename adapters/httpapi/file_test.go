package httpapi

import (
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure a file is taken as it is, up to its own limit, and refused in the shape
// of every refusal.
func TestFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(agentToken, "POST", "/v1/files?name=invoice-88.pdf", "%PDF-1.7", "Content-Type", "application/pdf").want(201)
	if made.field("fileName") != "invoice-88.pdf" || made.field("size") != "8" || !strings.HasSuffix(made.field("url"), "/invoice-88.pdf") {
		t.Errorf("%s", made.body)
	}
	w.call(agentToken, "POST", "/v1/files?name=big.bin", long(maxFileBody), "Content-Type", "application/octet-stream").want(201)
	w.call(agentToken, "POST", "/v1/files?name=big.bin", long(maxFileBody+1), "Content-Type", "application/octet-stream").want(413)
	w.call(agentToken, "POST", "/v1/files", "x").want(400)
	w.call(agentToken, "POST", "/v1/files?name=a.pdf", "").want(400)
	if p := w.call(agentToken, "POST", "/v1/files?name=a%2Fb.pdf", "x").want(400).problem(); p.Code != domain.CodeInvalid {
		t.Errorf("a name with a slash: %+v", p)
	}
	key := []string{"Idempotency-Key", "upload-1", "Content-Type", "application/octet-stream"}
	first := w.call(agentToken, "POST", "/v1/files?name=once.txt", "x", key...).want(201)
	again := w.call(agentToken, "POST", "/v1/files?name=once.txt", "x", key...).want(201)
	if string(first.body) != string(again.body) {
		t.Errorf("a repeat answers %s, not %s", again.body, first.body)
	}
}
