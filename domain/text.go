package domain

import "strings"

// Cut shortens s to at most limit characters.
func Cut(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i]
		}
		n++
	}
	return s
}

// capText makes bytes of unknown origin fit to be stored.
func capText(b []byte, limit int) string {
	if len(b) > limit {
		b = b[:limit]
	}
	return Storable(string(b))
}

// Storable makes a text of unknown origin valid UTF-8 without the zero
// character, which no store of ours can keep.
func Storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
