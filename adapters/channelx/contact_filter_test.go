package channelx

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/parley-im/parley/domain"
)

func lines(t *testing.T, text string) []any {
	t.Helper()
	var list []any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestConditionsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []domain.Condition
	}{
		{`[]`, []domain.Condition{}},
		{
			`[{"attribute_key":"phone_number","filter_operator":"equal_to","values":["15550100","+15550101"],"query_operator":"or"},
			  {"attribute_key":"identifier","filter_operator":"not_equal_to","values":"crm-1","query_operator":null}]`,
			[]domain.Condition{
				{Key: "phone_number", Compare: domain.EqualTo, Values: []string{"+15550100", "+15550101"}, Or: true},
				{Key: "identifier", Compare: domain.NotEqualTo, Values: []string{"crm-1"}},
			},
		},
		{ // a part of a number may lack the plus because it is not the first part
			`[{"attribute_key":"phone_number","filter_operator":"contains","values":["5550"],"query_operator":"AND"}]`,
			[]domain.Condition{{Key: "phone_number", Compare: domain.Contains, Values: []string{"5550"}}},
		},
		{
			`[{"attribute_key":"email","filter_operator":"is_present","values":[]},{"attribute_key":"blocked","filter_operator":"equal_to","values":[false]}]`,
			[]domain.Condition{{Key: "email", Compare: domain.IsPresent}, {Key: "blocked", Compare: domain.EqualTo, Values: []string{"false"}}},
		},
		{
			`[{"attribute_key":"created_at","filter_operator":"is_greater_than","values":["2026-01-01"]},
			  {"attribute_key":"last_activity_at","filter_operator":"days_before","values":[3]}]`,
			[]domain.Condition{
				{Key: "created_at", Compare: domain.IsGreaterThan, Values: []string{"2026-01-01"}},
				{Key: "last_activity_at", Compare: domain.DaysBefore, Values: []string{"3"}},
			},
		},
		{
			`[{"attribute_key":"tier","custom_attribute_type":"contact_attribute","filter_operator":"is_less_than","values":[2.5]},
			  {"attribute_key":"city","filter_operator":"equal_to","values":[{"id":"Porto","name":"Porto"}]}]`,
			[]domain.Condition{
				{Key: "tier", Custom: true, Compare: domain.IsLessThan, Values: []string{"2.5"}},
				{Key: "city", Compare: domain.EqualTo, Values: []string{"Porto"}},
			},
		},
	} {
		if got, err := readConditions(lines(t, c.text), contactKeys); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func TestConditionsThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	const keys = "blocked,city,company_name,country_code,created_at,email,identifier,labels,last_activity_at,name,phone_number"
	for text, want := range map[string]string{
		`[{"attribute_key":"shoe_size","filter_operator":"equal_to","values":["42"]}]`:                  "Invalid attribute key - [shoe_size]. The key should be one of [" + keys + "] or a custom attribute defined in the account.",
		`[{"filter_operator":"equal_to","values":["42"],"custom_attribute_type":"contact_attribute"}]`:  "Invalid attribute key - []. The key should be one of [" + keys + "] or a custom attribute defined in the account.",
		`[{"attribute_key":"name","filter_operator":"is_greater_than","values":["a"]}]`:                 "Invalid operator. The allowed operators for name are [equal_to,not_equal_to,contains,does_not_contain,is_present,is_not_present].",
		`[{"attribute_key":"name","filter_operator":"DROP","values":["a"]}]`:                            "Invalid operator. The allowed operators for name are [equal_to,not_equal_to,contains,does_not_contain,is_present,is_not_present].",
		`[{"attribute_key":"name","filter_operator":"equal_to","values":["a"],"query_operator":"XOR"}]`: `Query operator must be either "AND" or "OR".`,
		`[{"attribute_key":"name","filter_operator":"equal_to"}]`:                                       "Invalid value. The values provided for name are invalid",
		`[{"attribute_key":"name","filter_operator":"equal_to","values":[]}]`:                           "Invalid value. The values provided for name are invalid",
		`[{"attribute_key":"name","filter_operator":"equal_to","values":[[1]]}]`:                        "Invalid value. The values provided for name are invalid",
		`[{"attribute_key":"created_at","filter_operator":"is_less_than","values":["soon"]}]`:           "Invalid value. The values provided for created_at are invalid",
		`[{"attribute_key":"created_at","filter_operator":"days_before","values":["-1"]}]`:              "Invalid value. The values provided for created_at are invalid",
		`[{"attribute_key":"blocked","filter_operator":"equal_to","values":["perhaps"]}]`:               "Invalid value. The values provided for blocked are invalid",
		`["name"]`: "Invalid payload. Every condition should be an object.",
	} {
		got, err := readConditions(lines(t, text), contactKeys)
		if refused := refusalOf(atApplication, err); err == nil || refused.status != 422 || refused.body != (errorBody{want}) {
			t.Errorf("%s gives %v, %v, want %s", text, got, err, want)
		}
	}
	if _, err := readConditions(make([]any, maxConditions+1), contactKeys); err == nil {
		t.Error("there is no end of conditions")
	}
}

// FuzzConditions: whatever the lines of a filter are, they are refused in the
// dialect's words, or are conditions that the rows can be asked.
func FuzzConditions(f *testing.F) {
	for _, seed := range []string{
		`[{"attribute_key":"phone_number","filter_operator":"equal_to","values":["1"],"query_operator":"OR"}]`,
		`[{"attribute_key":"tier","custom_attribute_type":"contact_attribute","filter_operator":"days_before","values":[3]}]`,
		`[{"attribute_key":"created_at","filter_operator":"is_less_than","values":["2026-01-01T00:00:00Z"]},{}]`, `[1]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseJSON([]byte(`{"payload":` + text + `}`))
		if err != nil {
			return
		}
		list, _ := (&params{body: p}).list("payload")
		conditions, err := readConditions(list, contactKeys)
		if err != nil {
			if refused := refusalOf(atApplication, err); refused.status != 422 {
				t.Errorf("%s is refused with %d", text, refused.status)
			}
			return
		}
		for _, c := range conditions {
			_, known := contactKeys[c.Key]
			present := c.Compare == domain.IsPresent || c.Compare == domain.IsNotPresent
			if c.Key == "" || c.Custom == known || present != (len(c.Values) == 0) {
				t.Errorf("%s is %+v", text, c)
			}
		}
	})
}
