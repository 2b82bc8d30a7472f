package channelx

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-im/parley/domain"
)

// tidy takes zero characters out of all texts, which no store of ours can keep,
// and holds the value against the bounds.
func tidy(v any, depth int, left *int) (any, error) {
	*left--
	if depth == 0 || *left < 0 {
		return nil, fmt.Errorf("%w: too many or too deep members", errBadRequest)
	}
	var err error
	switch v := v.(type) {
	case string:
		return clean(v), nil
	case []any:
		for i := range v {
			if v[i], err = tidy(v[i], depth-1, left); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name, m := range v {
			if m, err = tidy(m, depth-1, left); err != nil {
				return nil, err
			}
			if kept := clean(name); kept != name {
				delete(v, name)
				name = kept
			}
			v[name] = m
		}
	}
	return v, nil
}

// clean makes a text valid UTF-8 without the zero character.
func clean(s string) string {
	return domain.Storable(s)
}

// numbered gives the members of an object in the order of their names, which are
// numbers; false where one is none.
func numbered(object map[string]any) ([]any, bool) {
	names := make([]uint64, 0, len(object))
	for name := range object {
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != name {
			return nil, false
		}
		names = append(names, n)
	}
	slices.Sort(names)
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = object[strconv.FormatUint(n, 10)]
	}
	return list, true
}

func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

func integerOf(v any) (int64, bool) {
	if n, ok := v.(json.Number); ok {
		if f, err := n.Float64(); err == nil && f == float64(int64(f)) && strings.ContainsAny(n.String(), ".eE") {
			return int64(f), true
		}
	}
	s, ok := textOf(v)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return i, err == nil
}

// plain turns numbers into float64, as domain.Object has them; one that is too
// large for that stays as its text.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, m := range v {
			object[name] = plain(m)
		}
		return object
	default:
		return v
	}
}
