package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-im/parley/domain"
)

// What a subscription asks for is refused with its field, or is a filter that names
// events that there are, and no others.
func FuzzSubscription(f *testing.F) {
	for _, seed := range []string{
		"", "message.received", "conversation.*\nmessage.received", strings.Repeat("message.received\n", 2), "*", ".*", "message.*.*", "message.received.v1", "delivery.*", "\x00", "\xff.*", "MESSAGE.RECEIVED",
	} {
		f.Add(seed, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "https://desk.example.com/parley")
	}
	for _, secret := range []string{"", "whsec_", "whsec_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS=", "whsec_" + strings.Repeat("A", 96), "Whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8G\nKYqrTwjUPD8ILPZIo2LaLaSw"} {
		f.Add("message.*", secret, "https://desk.example.com/parley")
	}
	for _, url := range []string{"", "//x", "http://", "javascript:alert(1)", "http://a b/", "http://%zz/", "https://user:pass@desk.example.com/"} {
		f.Add("message.*", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", url)
	}
	var names []string
	for _, stored := range domain.EventTypes() {
		names = append(names, domain.EventName(stored))
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, events, secret, url string) {
		s := domain.Subscription{Account: "acme", URL: url, Secret: secret}
		if err := s.Revise(domain.Revision{Events: strings.Split(events, "\n")}, at); err != nil {
			t.Fatal(err)
		}
		key, err := domain.SigningKey(secret)
		if err == nil && (len(key) < domain.MinSigningSecret || len(key) > domain.MaxSigningSecret) || err != nil && key != nil {
			t.Fatalf("%q is a key of %d bytes (%v)", secret, len(key), err)
		}
		if err := s.Validate(); err != nil {
			if e, ok := errors.AsType[*domain.Error](err); !ok || e.Field == "" || e.Code != domain.CodeInvalid {
				t.Fatalf("%q, %q, %q: %v", events, secret, url, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("the secret %q is taken: %v", secret, err)
		}
		for _, pattern := range s.Now().Events {
			prefix, all := strings.CutSuffix(pattern, "*")
			if !slices.ContainsFunc(names, func(name string) bool { return name == pattern || all && strings.HasPrefix(name, prefix) }) {
				t.Fatalf("%q names no event", pattern)
			}
		}
	})
}

// A trace that is kept is of the one form that tracers expect; another is dropped.
func FuzzTrace(f *testing.F) {
	good := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, seed := range []string{
		good, "", strings.ToUpper(good), good + "-x", "01" + good[2:], "00-" + strings.Repeat("0", 32) + good[35:], good[:36] + strings.Repeat("0", 16) + "-01", strings.Repeat("0", 5000), good[:54] + "\xff", good[:54] + "g",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kept := domain.TraceOf(domain.WithTrace(t.Context(), text))
		if kept == "" {
			if text == good {
				t.Fatal("a trace is dropped")
			}
			return
		}
		parts := strings.Split(kept, "-")
		if kept != text || len(parts) != 4 || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 || strings.Trim(kept, "0123456789abcdef-") != "" {
			t.Fatalf("%q is kept as %q", text, kept)
		}
	})
}
