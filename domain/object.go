package domain

import (
	"maps"
	"reflect"
)

// With gives the object with the members of more put in, one by one; neither of
// the two changes.
func (o Object) With(more Object) Object {
	if len(more) == 0 {
		return o
	}
	all := make(Object, len(o)+len(more))
	maps.Copy(all, o)
	maps.Copy(all, more)
	return all
}

// Without gives the object without some members.
func (o Object) Without(names ...string) Object {
	rest := maps.Clone(o)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// Equal tells whether two objects say the same; none is the same as an empty one.
func (o Object) Equal(other Object) bool {
	return len(o) == 0 && len(other) == 0 || reflect.DeepEqual(o, other)
}

// shown is the object as the wire shows it: never null.
func (o Object) shown() Object {
	if o == nil {
		return Object{}
	}
	return o
}

// deepWith is With, but objects that both have are merged likewise.
func (o Object) deepWith(more Object) Object {
	all := o.With(more)
	for name, value := range more {
		mine, ok := objectOf(o[name])
		theirs, both := objectOf(value)
		if ok && both {
			all[name] = map[string]any(mine.deepWith(theirs))
		}
	}
	return all
}

func objectOf(value any) (Object, bool) {
	switch v := value.(type) {
	case Object:
		return v, true
	case map[string]any:
		return v, true
	default:
		return nil, false
	}
}
