package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
)

// listing is a list that comes in parts.
type listing struct {
	remote

	Limit  int    `help:"How many at most." default:"200" placeholder:"N"`
	Cursor string `help:"Go on where a list ended." placeholder:"CURSOR"`
}

// column is a column of a table: its heading, and the field of the API's JSON
// that it shows. A dot leads into an object, and into each object of a list.
type column struct{ heading, field string }

// list asks for a part of a list, narrowed by the filters that are set, and
// prints it as a table; as JSON when that was asked for.
func (l listing) list(ctx context.Context, s streams, path string, filters map[string]string, columns []column) error {
	query := url.Values{"limit": {strconv.Itoa(l.Limit)}}
	if l.Cursor != "" {
		query.Set("cursor", l.Cursor)
	}
	for name, value := range filters {
		if value != "" {
			query.Set(name, value)
		}
	}
	next, err := l.tabulate(ctx, s, path+"?"+query.Encode(), columns)
	if err == nil && next != "" {
		fmt.Fprintln(s.err, "There are more: --cursor", next)
	}
	return err
}

// tabulate prints the list at a path and gives the cursor of what follows.
func (r remote) tabulate(ctx context.Context, s streams, path string, columns []column) (next string, err error) {
	raw, err := r.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	if r.JSON {
		return "", indent(s.out, raw)
	}
	var page struct {
		Data []map[string]any `json:"data"`
		Next string           `json:"next_cursor"`
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	if err := in.Decode(&page); err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return page.Next, table(s.out, columns, page.Data)
}

func table(w io.Writer, columns []column, rows []map[string]any) error {
	tab := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.heading
	}
	fmt.Fprintln(tab, strings.Join(line, "\t"))
	for _, row := range rows {
		for i, c := range columns {
			line[i] = cell(row, strings.Split(c.field, "."))
		}
		fmt.Fprintln(tab, strings.Join(line, "\t"))
	}
	return tab.Flush()
}

// cell is what a table shows of a value, at the end of the path. It stays on one
// line.
func cell(value any, path []string) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []any:
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = cell(e, path)
		}
		return strings.Join(texts, ",")
	case map[string]any:
		if len(path) == 0 {
			return ""
		}
		return cell(v[path[0]], path[1:])
	default:
		return strings.Join(strings.Fields(fmt.Sprint(v)), " ")
	}
}
