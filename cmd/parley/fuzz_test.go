package main

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// Settings that are taken are what was written; what is refused names its
// variable, and never shows a secret.
func FuzzSettings(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, seed := range [][4]string{
		{"", "10.1.0.0/16, ::1/128", "api", key}, {"http://a.example/x/", "10.1.0.0", "api,api", key + "," + key}, {"ftp://x", "10.1.0.0/33", "boss", "c2hvcnQ="},
		{"http://%zz", "::ffff:10.0.0.0/104", "", ""}, {"//x", "fe80::%eth0/64", "timers", key[:40]}, {"http://a b", "0.0.0.0/0", " api", key + "\n"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, publicURL, allow, roles, secret string) {
		cfg, err := settings{
			Addr: "127.0.0.1:8080", PublicURL: publicURL, CallbackAllow: strings.Split(allow, ","), Roles: strings.Split(roles, ","), SecretKey: secret,
			CallbackTimeout: time.Second, MaxWaiting: 1, RedriveRate: 1,
		}.check()
		if err != nil {
			if !strings.Contains(err.Error(), "PARLEY_") {
				t.Fatalf("%v names no variable", err)
			}
			if len(secret) > 40 && strings.Contains(err.Error(), secret) {
				t.Fatalf("the secret is shown: %v", err)
			}
			return
		}
		if len(cfg.allow) != len(strings.Split(allow, ",")) || cfg.sealer == nil || strings.HasSuffix(cfg.publicURL, "//") {
			t.Fatalf("%q, %q: %+v", publicURL, allow, cfg)
		}
		for _, p := range cfg.allow {
			if !p.IsValid() {
				t.Fatalf("%q allows %s", allow, p)
			}
		}
	})
}

// Numbers, times and levels of the command line are bounded by their types, and
// what is refused says what it should be.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"90", "1h30m", "90s", "1.5s", "-1s", "9223372036854775808", "3=5,7=2", "1,2", "none", "3=Returns", "=", ",", "", "\xff", "0x10", "1e3", "2562047h47m16s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s seconds
		var n numbers
		var l skillLevels
		var o topic
		for what, err := range map[string]error{
			"seconds": s.UnmarshalText([]byte(text)), "numbers": n.UnmarshalText([]byte(text)), "levels": l.UnmarshalText([]byte(text)), "topic": o.UnmarshalText([]byte(text)),
		} {
			if err != nil && !strings.HasPrefix(err.Error(), "must be") {
				t.Fatalf("%s of %q: %v", what, text, err)
			}
		}
		if o.Name == "" && o.Number == 0 && text != "" && text != "=" && !strings.Contains(text, "=") {
			t.Fatalf("%q names no topic", text)
		}
	})
}
