package domain

import (
	"bytes"
	"crypto/rand"
	"regexp"
	"strings"
	"testing"
)

func TestGeneratedShapes(t *testing.T) {
	t.Parallel()
	id, secret := regexp.MustCompile(`^[1-9][0-9]{11}$`), regexp.MustCompile(`^[A-Za-z0-9]{48}$`)
	seen := map[string]bool{}
	for range 200 {
		c, err := NewChannelID(rand.Reader)
		if err != nil || !id.MatchString(c) {
			t.Fatalf("NewChannelID = %q, %v", c, err)
		}
		s, err := NewSecret(rand.Reader)
		if err != nil || !secret.MatchString(s) {
			t.Fatalf("NewSecret = %q, %v", s, err)
		}
		if seen[c] || seen[s] {
			t.Fatal("the same value came twice")
		}
		seen[c], seen[s] = true, true
	}
}

// Bytes above the last whole multiple of the set are not used, so no character
// is likelier than another.
func TestPickIsFair(t *testing.T) {
	t.Parallel()
	got, err := pick(bytes.NewReader([]byte{255, 254, 250, 0, 255, 249, 1, 2}), digitSet, 4)
	if err != nil || got != "0912" {
		t.Fatalf("pick = %q, %v; want 0912", got, err)
	}
}

func TestGeneratorsReportAnEmptySource(t *testing.T) {
	t.Parallel()
	if _, err := NewChannelID(strings.NewReader("")); err == nil {
		t.Error("NewChannelID without random bytes gave no error")
	}
	if _, err := NewSecret(strings.NewReader("abc")); err == nil {
		t.Error("NewSecret without random bytes gave no error")
	}
}
