package channelx

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// parsePairs reads name=value&..., with brackets in names (channelx.md 2.3). A
// pair that is not escaped well is left out.
func parsePairs(text string) (map[string]any, error) {
	root := map[string]any{}
	left := maxMembers
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if pair == "" || nameErr != nil || valueErr != nil {
			continue
		}
		if err := put(root, name, value, &left); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// interleave builds what the texts of a multipart body say. The order between
// names is not known, so the first of each name go together, then the second of
// each: a[][x] and a[][y] are one object again and again.
func interleave(values map[string][]string) (map[string]any, error) {
	root := map[string]any{}
	left := maxMembers
	names := slices.Sorted(maps.Keys(values))
	for i, more := 0, true; more; i++ {
		more = false
		for _, name := range names {
			if i >= len(values[name]) {
				continue
			}
			more = true
			if err := put(root, name, values[name][i], &left); err != nil {
				return nil, err
			}
		}
	}
	return root, nil
}

// put sets what a name with brackets says: a[b] is a member, a[] one more element,
// a[][b] a member of the last element, or of a new one if that has it already. The
// last of doubled names counts; one that contradicts an earlier one is a bad
// request.
func put(root map[string]any, name, value string, left *int) error {
	*left--
	path := splitName(clean(name))
	if *left < 0 || len(path) > maxDepth {
		return fmt.Errorf("%w: too many or too deep members", errBadRequest)
	}
	if path[0] == "" {
		return nil
	}
	if _, err := merged(root, path, clean(value)); err != nil { // root is changed in place
		return fmt.Errorf("%w: %q contradicts what is before it", errBadRequest, name)
	}
	return nil
}

// splitName gives the steps of a name: "a[b][]" is "a", "b", "". What does not
// close its brackets is a name as it stands.
func splitName(name string) []string {
	head, rest, nested := strings.Cut(name, "[")
	if !nested || !strings.HasSuffix(rest, "]") || head == "" {
		return []string{name}
	}
	return append([]string{head}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

// merged puts a value at a path below v, which is nil where nothing is there yet.
func merged(v any, path []string, value string) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	if path[0] == "" {
		return appended(v, path[1:], value)
	}
	object, ok := v.(map[string]any)
	if !ok && v != nil {
		return nil, errBadRequest
	}
	if object == nil {
		object = map[string]any{}
	}
	below := object[path[0]]
	if len(path) == 1 {
		below = nil
	}
	m, err := merged(below, path[1:], value)
	if err != nil {
		return nil, err
	}
	object[path[0]] = m
	return object, nil
}

// appended puts a value into the list v.
func appended(v any, path []string, value string) (any, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, errBadRequest
	}
	if len(path) > 0 && path[0] != "" && len(list) > 0 {
		last, isObject := list[len(list)-1].(map[string]any)
		if isObject && !holds(last, path) {
			_, err := merged(last, path, value)
			return list, err
		}
	}
	element, err := merged(nil, path, value)
	if err != nil {
		return nil, err
	}
	return append(list, element), nil
}

// holds tells whether an object has something at a path already, short of a list
// that takes one more.
func holds(object map[string]any, path []string) bool {
	for i, name := range path {
		if name == "" {
			return false
		}
		v, ok := object[name]
		if !ok {
			return false
		}
		if i == len(path)-1 {
			return true
		}
		if object, ok = v.(map[string]any); !ok {
			return path[i+1] != ""
		}
	}
	return true
}
