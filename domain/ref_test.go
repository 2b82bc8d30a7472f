package domain

import (
	"strings"
	"testing"
)

func TestNormalizePhone(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"+351912345678":     "+351912345678",
		"351912345678":      "+351912345678",
		"+351 912-345-678":  "+351912345678",
		"(351) 912.345.678": "+351912345678",
		"+1234567":          "+1234567",
		"+" + digits(15):    "+" + digits(15),
		"+123456":           "",
		"+" + digits(16):    "",
		"+0234567":          "",
		"hello":             "",
		"":                  "",
		"+":                 "",
		"++1234567":         "",
		"1+234567":          "",
		"+1234567x":         "",
		"+123\u00a04567":    "",
		"+\u0661\u0662\u0663\u0664\u0665\u0666\u0667": "",
	} {
		if got, ok := NormalizePhone(raw); got != want || ok != (want != "") {
			t.Errorf("NormalizePhone(%q) = %q, %v; want %q", raw, got, ok, want)
		}
	}
}

func TestNormalizeReference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is        IDType
		raw, want string
	}{
		{IDTypeCustom, "Ab9_=+/@", "Ab9_=+/@"},
		{IDTypeCustom, strings.Repeat("a", 50), strings.Repeat("a", 50)},
		{IDTypeCustom, strings.Repeat("a", 51), ""},
		{IDTypeCustom, "a-b", ""},
		{IDTypeCustom, "a.b", ""},
		{IDTypeCustom, "a b", ""},
		{IDTypeCustom, "a:b", ""},
		{IDTypeCustom, "a#b", ""},
		{IDTypeCustom, "é", ""},
		{IDTypeCustom, "a\x00", ""},
		{IDTypeCustom, "", ""},
		{IDTypePhone, "15550100", "+15550100"},
		{IDTypePhone, "1555" + strings.Repeat(" ", 47), ""},
		{IDTypePhone, "hello", ""},
	} {
		got, err := c.is.Normalize("contact_ref", c.raw)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s.Normalize(%q) = %q, %v; want %q", c.is, c.raw, got, err, c.want)
		}
		if err != nil && CodeOf(err) != CodeInvalid {
			t.Errorf("%s.Normalize(%q): code %s, want invalid", c.is, c.raw, CodeOf(err))
		}
	}
}

func digits(n int) string { return strings.Repeat("1234567890", 2)[:n] }
