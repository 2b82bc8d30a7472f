package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	rows := []map[string]any{
		{"id": 1, "handler": map[string]any{"type": "queue"}, "topics": []any{map[string]any{"name": "Returns"}, map[string]any{"name": "Delivery"}}},
		{"id": 22, "handler": nil, "topics": []any{}, "text": "two\nlines\tand more"},
	}
	var out strings.Builder
	err := table(&out, []column{{"ID", "id"}, {"HANDLER", "handler.type"}, {"TOPICS", "topics.name"}, {"TEXT", "text"}}, rows)
	want := "ID  HANDLER  TOPICS            TEXT\n" +
		"1   queue    Returns,Delivery  \n" +
		"22                             two lines and more\n"
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
}
