package channelx

import (
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure that what stands for a picture of somebody is an address of the web or
// nothing: desktops put it into their pages.
func TestAvatarIsOfTheWeb(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"\thttps://example.com/a.png":      "https://example.com/a.png",
		"http://example.com/a.png?x=1":     "http://example.com/a.png?x=1",
		"javascript:alert(1)":              "",
		"data:text/html,<script></script>": "",
		"//example.com/a.png":              "",
		"a.png":                            "",
	} {
		if got := tidyPerson(domain.Person{Avatar: given}).Avatar; got != want {
			t.Errorf("%q is kept as %q, want %q", given, got, want)
		}
	}
}
