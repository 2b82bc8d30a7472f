package callback

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/parley-im/parley/domain"
)

// unpack makes an answer readable. Calls ask for no compression; a server that
// compresses all the same with gzip is understood, up to MaxAnswer of what comes
// out, however much that would be. Of what is no text only the length is told: no
// dialect has a form for it, and nobody could read it.
func unpack(a *domain.Answer, encoding string) {
	length := len(a.Body)
	if length == 0 {
		return
	}
	name := "binary"
	switch encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		name = "gzip"
		if plain, whole, ok := gunzip(a.Body); ok {
			a.Body, a.Truncated = plain, a.Truncated || !whole
		}
	case "br", "deflate", "zstd", "compress":
		name = encoding
	}
	if unreadable(a.Body) {
		a.Body = fmt.Appendf(nil, "(%s, %d bytes)", name, length)
	}
}

// gunzip gives what it can of a compressed text: whole tells whether that is all
// of it, ok whether it is compressed at all.
func gunzip(packed []byte) (plain []byte, whole, ok bool) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, false, false
	}
	plain, err = io.ReadAll(io.LimitReader(r, MaxAnswer+1))
	if len(plain) > MaxAnswer {
		return plain[:MaxAnswer], false, true
	}
	return plain, err == nil, err == nil || len(plain) > 0
}

// unreadable tells whether something is no text: more than one byte in fifty is a
// control character that no text has. Bytes of other alphabets than UTF-8 are none.
// Nothing that is JSON is binary, for JSON holds no such character.
func unreadable(body []byte) bool {
	controls := 0
	for _, b := range body {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != '\b' && b != 0x1b {
			controls++
		}
	}
	return controls*50 > len(body)
}
