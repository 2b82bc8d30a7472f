package main

import (
	"fmt"
	"strings"
	"testing"
)

// knows posts a contact object with a message and gives the contact as stored.
func knows(t *testing.T, c *respondChannel, fields object) object {
	t.Helper()
	ref := c.suite.name()
	c.accepts(t, contactID(ref), inProfile(fields))
	contact := c.contacts(t)[ref]
	if contact == nil {
		t.Fatalf("no contact %s", ref)
	}
	return contact
}

// profileFields are the names of a profile on the wire and in the platform API.
var profileFields = map[string]string{
	"firstName": "first_name", "lastName": "last_name", "profilePic": "picture_url", "locale": "locale",
	"countryCode": "country_code", "timezone": "timezone", "email": "email", "phone": "phone", "language": "language",
}

// Contact profile.
//
//nolint:thelper // tests, not helpers of tests
var respondProfileCases = []respondCase{
	{"068", func(t *testing.T, s *respondSuite) { s.channel(t, "custom").accepts(t) }},
	{"069", func(t *testing.T, s *respondSuite) {
		fields := object{
			"firstName": "Marta", "lastName": "Lopes", "profilePic": "https://img.example.net/u/marta.jpg", "locale": "pt_PT",
			"countryCode": "PT", "timezone": 0.0, "email": "marta@example.net", "phone": "+351912345678", "language": "pt",
		}
		contact := knows(t, s.channel(t, "custom"), fields)
		for wire, shown := range profileFields {
			if contact[shown] != fields[wire] {
				t.Errorf("%s is %v, want %v", shown, contact[shown], fields[wire])
			}
		}
	}},
	{"070", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, name := range []string{"firstName", "lastName"} {
			if contact := knows(t, c, object{name: long(50)}); contact[profileFields[name]] != long(50) {
				t.Errorf("%s is %v", name, contact[profileFields[name]])
			}
			c.refuses(t, name, inProfile(object{name: long(51)}))
		}
	}},
	{"071", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		mail := func(n int) string { return strings.Repeat("a", n-len("@example.net")) + "@example.net" }
		if contact := knows(t, c, object{"email": mail(50)}); contact["email"] != mail(50) {
			t.Errorf("stored as %v", contact["email"])
		}
		c.refuses(t, "51 characters", inProfile(object{"email": mail(51)}))
	}},
	{"072", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		if contact := knows(t, c, object{"phone": "+351 912 345 678 "}); contact["phone"] != "+351912345678" {
			t.Errorf("stored as %v", contact["phone"])
		}
		if contact := knows(t, c, object{"phone": "+35 1912 345 6789 "}); contact["phone"] != "+3519123456789" {
			t.Errorf("18 characters are stored as %v", contact["phone"])
		}
		c.refuses(t, "19 characters", inProfile(object{"phone": "+351 912 345 678   "}))
	}},
	{"073", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, v := range []struct{ given, want any }{{-24, -24.0}, {24, 24.0}, {5.5, 5.5}, {"8", 8.0}} {
			if contact := knows(t, c, object{"timezone": v.given}); contact["timezone"] != v.want {
				t.Errorf("%v is stored as %v", v.given, contact["timezone"])
			}
		}
	}},
	{"074", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, v := range []any{-24.5, 24.5, 25, "x"} {
			c.refuses(t, fmt.Sprint(v), inProfile(object{"timezone": v}))
		}
	}},
	{"075", func(t *testing.T, s *respondSuite) {
		if contact := knows(t, s.channel(t, "custom"), object{"countryCode": "pt"}); contact["country_code"] != "PT" {
			t.Errorf("stored as %v", contact["country_code"])
		}
	}},
	{"076", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, v := range []string{"20", "PRT"} {
			if contact := knows(t, c, object{"countryCode": v}); contact["country_code"] != nil {
				t.Errorf("%s is stored as %v", v, contact["country_code"])
			}
		}
	}},
	{"077", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for given, want := range map[string]any{"pt-BR": "pt", "Portuguese": nil} {
			if contact := knows(t, c, object{"language": given}); contact["language"] != want {
				t.Errorf("%s is stored as %v", given, contact["language"])
			}
		}
	}},
	{"078", func(t *testing.T, s *respondSuite) {
		contact := knows(t, s.channel(t, "custom"), object{"email": "nobody", "profilePic": "x"})
		if contact["email"] != nil || contact["picture_url"] != nil {
			t.Errorf("stored as %v", contact)
		}
	}},
	{"079", func(t *testing.T, s *respondSuite) { knowsNothing(t, s, "") }},
	{"080", func(t *testing.T, s *respondSuite) { knowsNothing(t, s, nil) }},
	{"081", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		c.refuses(t, "an array", inBody("contact", []any{}))
		c.refuses(t, "a string", inBody("contact", "Marta"))
	}},
	{"082", func(t *testing.T, s *respondSuite) {
		c := s.channel(t, "custom")
		for _, fields := range []object{{"firstName": "Marta"}, {"firstName": "Other", "email": "marta@example.net"}} {
			in := c.valid("twice")
			inProfile(fields)(&in)
			accepted(t, c.post(t, in.body))
		}
		if contact := c.contacts(t)["twice"]; contact["first_name"] != "Marta" || contact["email"] != "marta@example.net" {
			t.Errorf("stored as %v", contact)
		}
	}},
}

func knowsNothing(t *testing.T, s *respondSuite, v any) {
	t.Helper()
	fields := object{}
	for wire := range profileFields {
		fields[wire] = v
	}
	contact := knows(t, s.channel(t, "custom"), fields)
	for _, shown := range profileFields {
		if contact[shown] != nil {
			t.Errorf("%s is stored as %v", shown, contact[shown])
		}
	}
}
