package channelx

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// maxConditions bounds the lines of a filter, and the values of one of them.
const maxConditions = 100

// filterKey says what a line of a filter may ask of an attribute.
type filterKey struct {
	allowed []domain.Comparison
	value   func(text string) bool // whether a value can be compared with it; nil = any
}

var (
	filterText  = []domain.Comparison{domain.EqualTo, domain.NotEqualTo, domain.Contains, domain.DoesNotContain, domain.IsPresent, domain.IsNotPresent}
	filterEqual = []domain.Comparison{domain.EqualTo, domain.NotEqualTo} // of what is always there
	filterExact = []domain.Comparison{domain.EqualTo, domain.NotEqualTo, domain.IsPresent, domain.IsNotPresent}
	filterOrder = []domain.Comparison{domain.IsGreaterThan, domain.IsLessThan, domain.DaysBefore, domain.IsPresent, domain.IsNotPresent}
	// filterAny is what the account's own attributes can be asked: their type is theirs.
	filterAny = []domain.Comparison{
		domain.EqualTo, domain.NotEqualTo, domain.Contains, domain.DoesNotContain, domain.IsPresent, domain.IsNotPresent,
		domain.IsGreaterThan, domain.IsLessThan, domain.DaysBefore,
	}
)

// readConditions reads the lines of a filter over attributes with these keys.
// Further keys are the account's own where the line says that they are.
func readConditions(lines []any, keys map[string]filterKey) ([]domain.Condition, error) {
	if len(lines) > maxConditions {
		return nil, unfit("Too many conditions (maximum is %d)", maxConditions)
	}
	conditions := make([]domain.Condition, 0, len(lines))
	for _, line := range lines {
		members, ok := line.(map[string]any)
		if !ok {
			return nil, unfit("Invalid payload. Every condition should be an object.")
		}
		c, err := readCondition(members, keys)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

func readCondition(line map[string]any, keys map[string]filterKey) (domain.Condition, error) {
	name := scalarText(line["attribute_key"])
	key, known := keys[name]
	c := domain.Condition{Key: name, Custom: !known && isCustom(line), Compare: domain.Comparison(scalarText(line["filter_operator"]))}
	switch {
	case c.Custom && name != "":
		key = filterKey{allowed: filterAny}
	case !known:
		return c, unfit("Invalid attribute key - [%s]. The key should be one of [%s] or a custom attribute defined in the account.",
			domain.Cut(name, domain.MaxNumberedName), strings.Join(keysOf(keys), ","))
	}
	if !slices.Contains(key.allowed, c.Compare) {
		return c, unfit("Invalid operator. The allowed operators for %s are [%s].", name, comparisons(key.allowed))
	}
	var err error
	if c.Or, err = joined(line["query_operator"]); err != nil {
		return c, err
	}
	if c.Compare == domain.IsPresent || c.Compare == domain.IsNotPresent {
		return c, nil // whatever values stand there
	}
	c.Values, err = readValues(line["values"], name, c.Compare, key)
	return c, err
}

// isCustom tells whether a line names an attribute of the account's own: they need
// not be set up here, so the line itself has to say so.
func isCustom(line map[string]any) bool {
	if scalarText(line["custom_attribute_type"]) != "" {
		return true
	}
	switch scalarText(line["attribute_model"]) {
	case "custom_attributes", "customAttributes", "contact_attribute", "conversation_attribute":
		return true
	default:
		return false
	}
}

// joined reads how the next line is joined to this one: true for OR.
func joined(value any) (bool, error) {
	switch strings.ToUpper(scalarText(value)) {
	case "", "AND":
		return false, nil
	case "OR":
		return true, nil
	default:
		return false, unfit(`Query operator must be either "AND" or "OR".`)
	}
}

// readValues reads what is compared with. A phone number without its plus gets it.
func readValues(value any, name string, compare domain.Comparison, key filterKey) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	invalid := unfit("Invalid value. The values provided for %s are invalid", name)
	if len(list) > maxConditions {
		return nil, invalid
	}
	values := make([]string, 0, len(list))
	for _, v := range list {
		if choice, ok := v.(map[string]any); ok {
			v = choice["id"] // a choice of a list, as dashboards send it
		}
		text := scalarText(v)
		if text == "" || strings.ContainsRune(text, 0) {
			return nil, invalid
		}
		switch {
		case compare == domain.DaysBefore:
			if days, err := strconv.Atoi(text); err != nil || days < 0 || days > maxDays {
				return nil, invalid
			}
		case key.value != nil && !key.value(text):
			return nil, invalid
		}
		if name == "phone_number" && (compare == domain.EqualTo || compare == domain.NotEqualTo) && !strings.HasPrefix(text, "+") {
			text = "+" + text
		}
		values = append(values, text)
	}
	if len(values) == 0 {
		return nil, invalid
	}
	return values, nil
}

// maxDays bounds days_before: a hundred years.
const maxDays = 36525

// isMoment tells whether a text is a day or a time that rows can be compared with.
func isMoment(text string) bool {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return false
}

func isTruth(text string) bool { return text == "true" || text == "false" }

// scalarText shows a text, a number or a truth value as text; everything else is "".
func scalarText(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	text, _ := textOf(v)
	return text
}

func keysOf(keys map[string]filterKey) []string {
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func comparisons(list []domain.Comparison) string {
	texts := make([]string, len(list))
	for i, c := range list {
		texts[i] = string(c)
	}
	return strings.Join(texts, ",")
}

func isNumber(text string) bool {
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}
