package callback

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

func packed(t *testing.T, plain io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zeroes is a reader of as many x as are asked for.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// Ensure that an answer can be read however it is encoded: dialects judge the
// text, and people are shown it, or what it is instead; and that what a
// few bytes expand to has a bound.
func TestSend_AnswersAreText(t *testing.T) {
	t.Parallel()
	const whole = "a reason at length"
	reason := packed(t, strings.NewReader(`{"error":"no such queue"}`))
	bomb := packed(t, io.LimitReader(zeroes{}, 16<<20))
	picture := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), make([]byte, 84)...)
	for name, c := range map[string]struct {
		encoding  string
		body      []byte
		want      string
		truncated bool
	}{
		"plain":             {"", []byte(`{"error":"no"}`), `{"error":"no"}`, false},
		"another alphabet":  {"", []byte("\xcd\xe5\xf2 \xe4\xee\xf1\xf2\xf3\xef\xe0"), "\xcd\xe5\xf2 \xe4\xee\xf1\xf2\xf3\xef\xe0", false},
		"gzip":              {"gzip", reason, `{"error":"no such queue"}`, false},
		"its other name":    {" X-GZIP ", reason, `{"error":"no such queue"}`, false},
		"a bomb":            {"gzip", bomb, strings.Repeat("x", MaxAnswer), true},
		"cut off":           {"gzip", packed(t, strings.NewReader(whole))[:20], "", true},
		"not what it says":  {"gzip", []byte("plain after all"), "plain after all", false},
		"broken":            {"gzip", append([]byte{0x1f, 0x8b, 8, 0}, make([]byte, 40)...), "(gzip, 44 bytes)", false},
		"a packed picture":  {"gzip", packed(t, bytes.NewReader(picture)), "(gzip, ", false},
		"not understood":    {"br", append([]byte{0x0b, 0x02}, make([]byte, 40)...), "(br, 42 bytes)", false},
		"a picture":         {"", picture, "(binary, 100 bytes)", false},
		"an unknown method": {"secret", make([]byte, 9), "(binary, 9 bytes)", false},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", c.encoding)
			w.WriteHeader(http.StatusBadGateway)
			w.Write(c.body)
		})
		answer := sender(t, 10*time.Second).Send(t.Context(), post(url))
		got := string(answer.Body)
		switch name {
		case "cut off": // as much of it as there is
			if !answer.Truncated || !strings.HasPrefix(whole, got) && !strings.HasPrefix(got, "(gzip, ") {
				t.Errorf("%s: %q, truncated %v", name, got, answer.Truncated)
			}
		case "a packed picture":
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: %q", name, got)
			}
		default:
			if got != c.want || answer.Truncated != c.truncated {
				t.Errorf("%s: %d bytes that begin with %.60q, truncated %v", name, len(got), got, answer.Truncated)
			}
		}
		if answer.Fault != "" || answer.Status != http.StatusBadGateway {
			t.Errorf("%s: %s, status %d", name, answer.Fault, answer.Status)
		}
	}
}

// Ensure that operators learn why there was no answer, also of a dialect that has
// words of its own for it; and that those words stay what they are.
func TestJudge_keepsTheCause(t *testing.T) {
	t.Parallel()
	closed := serve(t, func(w http.ResponseWriter, _ *http.Request) {})
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	s := sender(t, 200*time.Millisecond)
	for name, c := range map[string]struct{ url, detail, cause string }{
		"refused": {"http://127.0.0.1:1/token-4711/message", "", "connection refused"},
		"no tls":  {"https" + strings.TrimPrefix(closed, "http") + "/token-4711", "", "http: server gave HTTP response to HTTPS client"},
		"timeout": {hangs + "/token-4711", "timeout", "no complete answer within 200ms"},
	} {
		answer := s.Send(t.Context(), post(c.url))
		o := judge(curt{}, domain.Delivery{}, answer, time.Now())
		if o.Detail != "told in its own words" || o.Cause != c.cause || len(o.Cause) > domain.MaxCause {
			t.Errorf("%s: detail %q, cause %q", name, o.Detail, o.Cause)
		}
		if o = judge(plain{}, domain.Delivery{}, answer, time.Now()); !strings.Contains(o.Detail+o.Cause, c.cause) || strings.Contains(o.Detail, c.cause) && o.Cause != "" {
			t.Errorf("%s: the cause is told twice or not at all: %q, %q", name, o.Detail, o.Cause)
		}
		e := domain.Delivery{}.Attempted(domain.Outcome{Verdict: domain.Retry, Reason: answer.Fault, Detail: "its words", Cause: answer.Cause}, domain.DeliveryPolicy{}, 0, true, time.Now(), time.Now())
		a, _ := e.Data.(domain.DeliveryAttempted)
		if a.Detail != "its words" || a.Explained() != "its words: "+c.cause || strings.Contains(a.Explained(), "4711") {
			t.Errorf("%s: %q", name, a.Explained())
		}
	}
}

// curt is a dialect that says the same of whatever happened.
type curt struct{ plain }

func (curt) Outcome(_ domain.Delivery, a domain.Answer, _ time.Time) domain.Outcome {
	return domain.Outcome{Verdict: domain.Retry, Reason: a.Fault, Detail: "told in its own words"}
}
