package projections

import (
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// filterColumn is how a key of a filter is asked for.
type filterColumn struct {
	sql  string
	kind filterKind
}

type filterKind int

const (
	aText   filterKind = iota // compared without regard to case; '' is not present
	anExact                   // a text that is compared as it is
	aTime
	aTruth
	aNumber // 0 is not present
	aSet    // an array of texts
)

// personKeys are the keys of filters of people (channelx.md 4.3).
var personKeys = map[string]filterColumn{
	"name":             {"p.name", aText},
	"phone_number":     {"p.phone", aText},
	"email":            {"p.email", aText},
	"identifier":       {"p.identifier", aText},
	"country_code":     {"p.state->'additional_attributes'->>'country_code'", aText},
	"city":             {"p.state->'additional_attributes'->>'city'", aText},
	"company_name":     {"p.state->'additional_attributes'->>'company_name'", aText},
	"labels":           {"p.labels", aSet},
	"created_at":       {"p.created_at", aTime},
	"last_activity_at": {"p.last_activity_at", aTime},
	"blocked":          {"coalesce((p.state->>'blocked')::boolean, false)", aTruth},
	"":                 {"(p.state->'custom_attributes'->>?::text)", aText},
}

// ticketKeys are the keys of filters of tickets.
var ticketKeys = map[string]filterColumn{
	"status":           {"t.status", anExact},
	"priority":         {"coalesce(t.state->>'priority', '')", anExact},
	"assignee_id":      {"t.assignee", aNumber},
	"team_id":          {"t.team", aNumber},
	"inbox_id":         {"t.channel_id", anExact}, // by the channel's id: inboxes' numbers are not known here
	"contact_id":       {"(select person_id from identities where id = t.identity_id)", aNumber},
	"display_id":       {"t.number", aNumber},
	"labels":           {"t.labels", aSet},
	"created_at":       {"t.created_at", aTime},
	"last_activity_at": {"t.last_activity_at", aTime},
	"":                 {"(t.state->'custom_attributes'->>?::text)", aText},
}

// conditions appends the lines of a filter. They are joined from left to right: a
// line's own word joins the next one to all before it.
func (q *query) conditions(lines []domain.Condition, keys map[string]filterColumn) error {
	if len(lines) == 0 {
		return nil
	}
	whole := condition{}
	for n, line := range lines {
		c, err := compile(line, keys)
		if err != nil {
			return err
		}
		if n == 0 {
			whole = c
			continue
		}
		join := ") and ("
		if lines[n-1].Or {
			join = ") or ("
		}
		whole = condition{"((" + whole.sql + join + c.sql + "))", append(whole.args, c.args...)}
	}
	q.add(" and (("+whole.sql+") is true)", whole.args...)
	return nil
}

// compile makes SQL of one line.
func compile(line domain.Condition, keys map[string]filterColumn) (condition, error) {
	name, custom := line.Key, []any{}
	if line.Custom {
		name, custom = "", []any{domain.Storable(line.Key)}
	}
	column, ok := keys[name]
	if !ok || line.Key == "" {
		return condition{}, domain.Invalid(line.Key, "cannot be filtered by")
	}
	refuse := domain.Invalid(line.Key, "cannot be compared so")
	if line.Compare != domain.IsPresent && line.Compare != domain.IsNotPresent && len(line.Values) == 0 {
		return condition{}, domain.Invalid(line.Key, "needs a value")
	}
	values := make([]string, len(line.Values))
	for i, v := range line.Values {
		values[i] = domain.Storable(v)
	}
	c := condition{}
	switch line.Compare {
	case domain.IsPresent:
		c = condition{column.present(), custom}
	case domain.IsNotPresent:
		c = condition{"not " + column.present(), custom}
	case domain.EqualTo, domain.NotEqualTo:
		if c, ok = column.equal(values, custom); !ok {
			return c, refuse
		}
	case domain.Contains, domain.DoesNotContain:
		if column.kind != aText && column.kind != anExact {
			return c, refuse
		}
		likes := make([]string, len(values))
		for i, v := range values {
			likes[i] = pattern(v)
		}
		c = condition{"coalesce(" + column.sql + ", '') collate search_text ilike any(?::text[])", append(custom, likes)}
	case domain.IsGreaterThan, domain.IsLessThan:
		if c, ok = column.ordered(line.Compare == domain.IsGreaterThan, values[0], custom, line.Custom); !ok {
			return c, refuse
		}
	case domain.DaysBefore:
		if c, ok = column.before(values[0], custom, line.Custom); !ok {
			return c, refuse
		}
	default:
		return c, refuse
	}
	if line.Compare == domain.NotEqualTo || line.Compare == domain.DoesNotContain {
		c.sql = "not (" + c.sql + ")"
	}
	return c, nil
}

func (f filterColumn) present() string {
	switch f.kind {
	case aText, anExact:
		return "(coalesce(" + f.sql + ", '') <> '')"
	case aNumber:
		return "(" + f.sql + " <> 0)"
	case aSet:
		return "(cardinality(" + f.sql + ") > 0)"
	default:
		return "(" + f.sql + " is not null)"
	}
}

// equal compares with any of the values.
func (f filterColumn) equal(values []string, args []any) (condition, bool) {
	switch f.kind {
	case aText:
		return condition{"lower(coalesce(" + f.sql + ", '') collate search_text) in (select lower(v collate search_text) from unnest(?::text[]) v)", append(args, values)}, true
	case anExact:
		return condition{f.sql + " = any(?::text[])", append(args, values)}, true
	case aSet:
		return condition{f.sql + " && ?::text[]", append(args, values)}, true
	case aTruth:
		truths := make([]bool, len(values))
		for i, v := range values {
			if v != "true" && v != "false" {
				return condition{}, false
			}
			truths[i] = v == "true"
		}
		return condition{f.sql + " = any(?::boolean[])", append(args, truths)}, true
	case aNumber:
		numbers := make([]int64, len(values))
		for i, v := range values {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return condition{}, false
			}
			numbers[i] = n
		}
		return condition{f.sql + " = any(?::bigint[])", append(args, numbers)}, true
	default:
		return condition{}, false
	}
}

// ordered compares by size: numbers of attributes as numbers, days and times as
// such, and other texts as texts.
func (f filterColumn) ordered(greater bool, value string, args []any, custom bool) (condition, bool) {
	sign := " < "
	if greater {
		sign = " > "
	}
	if f.kind == aTime {
		at, ok := moment(value)
		return condition{f.sql + sign + "?", append(args, at)}, ok
	}
	if !custom {
		return condition{}, false
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		// What is no number in the row is not compared with one.
		return condition{"case when " + f.sql + ` ~ '^-{0,1}[0-9]{1,15}(\.[0-9]{1,15}){0,1}$' then ` + f.sql + "::float8" + sign + "?::float8 end",
			append(append(args, args...), n)}, true
	}
	return condition{f.sql + sign + "?", append(args, value)}, true
}

// before finds what lies more than some days back.
func (f filterColumn) before(value string, args []any, custom bool) (condition, bool) {
	days, err := strconv.Atoi(value)
	if err != nil || days < 0 || days > 36525 {
		return condition{}, false
	}
	if f.kind == aTime {
		return condition{f.sql + " < now() - make_interval(days => ?)", append(args, days)}, true
	}
	if !custom {
		return condition{}, false
	}
	return condition{"left(" + f.sql + ", 10) collate \"C\" < to_char(now() - make_interval(days => ?), 'YYYY-MM-DD') and " + f.sql + ` ~ '^\d{4}-\d\d-\d\d'`,
		append(append(args, days), args...)}, true
}

// moment reads a day or a time.
func moment(text string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if at, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
