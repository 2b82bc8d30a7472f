package domain

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestPersonAbsorbs(t *testing.T) {
	t.Parallel()
	base := Person{ID: 1, Name: "Ana", Phone: "+15550100", Custom: Object{"plan": "gold", "deep": Object{"a": 1.0}}, Labels: []string{"vip"}, CreatedAt: noon}
	other := Person{
		ID: 2, Name: "A.", Email: "ana@example.com", Phone: "+15550101", Identifier: "crm-1", Avatar: "https://example.com/a.png", Blocked: true,
		Custom: Object{"plan": "free", "n": 1.0, "deep": map[string]any{"a": 2.0, "b": 3.0}}, Additional: Object{"city": "Porto"}, Labels: []string{"new", "vip"},
	}
	got := base.Absorb(other)
	want := Person{
		ID: 1, Name: "Ana", Email: "ana@example.com", Phone: "+15550100", Identifier: "crm-1", Avatar: "https://example.com/a.png", CreatedAt: noon,
		Custom:     Object{"plan": "gold", "n": 1.0, "deep": map[string]any{"a": 1.0, "b": 3.0}},
		Additional: Object{"city": "Porto"}, Labels: []string{"new", "vip"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if base.Custom["n"] != nil || other.Custom["plan"] != "free" || other.Custom["deep"].(map[string]any)["a"] != 2.0 {
		t.Errorf("the two have changed: %+v %+v", base.Custom, other.Custom)
	}
	if got := names(got.Next(noon.Add(time.Second)).Since(base)); got != "email identifier avatar_url additional_attributes custom_attributes label_list updated_at " {
		t.Errorf("told %s", got)
	}
	if same := base.Absorb(Person{ID: 3}); !same.Same(base) {
		t.Errorf("nothing is something: %+v", same.Since(base))
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	a := Object{"x": 1.0}
	b := a.With(Object{"y": 2.0})
	if len(a) != 1 || len(b) != 2 || !a.With(nil).Equal(a) || Object(nil).With(Object{"x": 1.0})["x"] != 1.0 {
		t.Errorf("got %v and %v", a, b)
	}
	if c := b.Without("x", "z"); len(c) != 1 || len(b) != 2 || Object(nil).Without("x") != nil {
		t.Errorf("got %v", c)
	}
	if !Object(nil).Equal(Object{}) || a.Equal(b) || !b.Equal(Object{"y": 2.0, "x": 1.0}) {
		t.Error("objects do not compare")
	}
	if got := Sorted([]string{"b", "", "a", "b"}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
}

func TestInboxIsOpen(t *testing.T) {
	t.Parallel()
	monday := Inbox{WorkingHours: true, Hours: []Hours{{Day: 1, OpenHour: 8, OpenMinute: 30, CloseHour: 12}, {Day: 0, OpenAll: true}, {Day: 2, ClosedAll: true}}}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, 1+day, hour, minute, 0, 0, time.UTC) } // the 1st is a Sunday
	for _, c := range []struct {
		inbox Inbox
		at    time.Time
		want  bool
	}{
		{Inbox{}, at(0, 3, 0), true},
		{monday, at(1, 8, 29), false}, {monday, at(1, 8, 30), true}, {monday, at(1, 11, 59), true}, {monday, at(1, 12, 0), false},
		{monday, at(0, 3, 0), true}, {monday, at(2, 10, 0), false},
		{monday, at(3, 8, 59), false}, {monday, at(3, 9, 0), true}, {monday, at(3, 17, 0), false}, {monday, at(6, 12, 0), false},
		{Inbox{WorkingHours: true, Timezone: "America/Sao_Paulo"}, at(3, 11, 30), false}, {Inbox{WorkingHours: true, Timezone: "America/Sao_Paulo"}, at(3, 12, 0), true},
		{Inbox{WorkingHours: true, Timezone: "Nowhere/At_All"}, at(3, 9, 0), true},
	} {
		if got := c.inbox.OpenAt(c.at); got != c.want {
			t.Errorf("%+v at %s: %v", c.inbox, c.at, got)
		}
	}
}
