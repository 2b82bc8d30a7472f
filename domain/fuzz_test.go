package domain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-im/parley/domain"
)

// What is read of the log and written again is read as the same, and nothing of
// a name that is not known is lost.
func FuzzDecodeData(f *testing.F) {
	for _, name := range domain.EventTypes() {
		f.Add(name, []byte(`{"content":{"type":"text","text":"hi"},"external_id":"m1","sent_at":"2026-03-01T09:30:00Z"}`))
		f.Add(name, []byte(`{"reason":"agent","tags":[1],"skills":[{"skill_id":1,"level":5}],"started_at":"2026-03-01T09:30:00+14:00","response":"AA=="}`))
	}
	f.Fuzz(func(t *testing.T, stored string, raw []byte) {
		before := bytes.Clone(raw)
		data, err := domain.DecodeData(stored, raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the record was changed")
		}
		if err != nil {
			if data != nil || !strings.Contains(err.Error(), stored) {
				t.Fatalf("%v beside %v", err, data)
			}
			return
		}
		if u, ok := data.(domain.Unknown); ok {
			if u.Type != stored || !bytes.Equal(u.Raw, raw) {
				t.Fatalf("%+v is not what came", u)
			}
			return
		}
		if got := (domain.Event{Data: data}).Type(); got != stored {
			t.Fatalf("%s is read as %s", stored, got)
		}
		again, err := json.Marshal(data)
		if err != nil {
			return // a time with a year of five digits, or text that is no JSON: Encode refuses it
		}
		second, err := domain.DecodeData(stored, again)
		if err != nil {
			t.Fatalf("%s is not read: %v", again, err)
		}
		if third, err := json.Marshal(second); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%s is read as %s (%v)", again, third, err)
		}
	})
}

// A reference that is taken has one form, which is taken as it is; what is
// refused names its field.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"+15550100", " (555) 010-0100", "client_1", "a=b+c/d@e", "+0000000", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "\xff", "a\x00b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, kind := range []domain.IDType{domain.IDTypePhone, domain.IDTypeCustom} {
			ref, err := kind.Normalize("contactId", raw)
			if err != nil {
				var e *domain.Error
				if !errors.As(err, &e) || e.Code != domain.CodeInvalid || e.Field != "contactId" || e.Message == "" || ref != "" {
					t.Fatalf("%q: %q, %v", raw, ref, err)
				}
				continue
			}
			if again, err := kind.Normalize("contactId", ref); err != nil || again != ref {
				t.Fatalf("%q becomes %q becomes %q (%v)", raw, ref, again, err)
			}
			if ref == "" || utf8.RuneCountInString(ref) > domain.MaxContactRef || strings.Trim(ref, "\x00") != ref || !utf8.ValidString(ref) {
				t.Fatalf("%q becomes %q", raw, ref)
			}
		}
	})
}

// A policy that is taken keeps its bounds, is written and read as the same, and
// gives waits that end.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"schedule":[]}`, `{"schedule":["1s","5s"],"max_age":"72h","on_exhausted":"park"}`, `{"schedule":["1ns"],"max_age":"720h"}`,
		`{"schedule":["-1s"]}`, `{"max_age":"0s"}`, `{"schedule":["2562047h47m16.854775807s"]}`, `{"schedule":null,"max_age":"1.5h"}`, `null`, `{"schedule":["\u0000"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p domain.DeliveryPolicy
		if err := json.Unmarshal(raw, &p); err != nil {
			if e, ok := errors.AsType[*domain.Error](err); ok && (e.Code != domain.CodeInvalid || !strings.HasPrefix(e.Field, "delivery.")) {
				t.Fatalf("%v", err)
			}
			if !reflect.DeepEqual(p, domain.DeliveryPolicy{}) {
				t.Fatalf("refused, and yet read: %+v", p)
			}
			return
		}
		if err := p.Validate(); err != nil {
			if e, ok := errors.AsType[*domain.Error](err); !ok || e.Code != domain.CodeInvalid || !strings.HasPrefix(e.Field, "delivery.") {
				t.Fatalf("%v", err)
			}
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again domain.DeliveryPolicy
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v is written %s and read %+v (%v)", p, text, again, err)
		}
		since := time.Duration(0)
		for tries := 1; ; tries++ {
			wait, more := p.Wait(tries, since)
			if !more {
				break
			}
			if since += wait; wait <= 0 || wait > domain.LongestWait || since > domain.LongestMaxAge || tries > 1000 {
				t.Fatalf("try %d after %s, in all %s", tries, wait, since)
			}
		}
	})
}
