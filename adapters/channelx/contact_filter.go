package channelx

// contactKeys are the attributes of a contact that a filter may name
// (channelx.md 4.3).
var contactKeys = map[string]filterKey{
	"name":             {allowed: filterText},
	"phone_number":     {allowed: filterText},
	"email":            {allowed: filterText},
	"identifier":       {allowed: filterText},
	"country_code":     {allowed: filterText},
	"city":             {allowed: filterText},
	"company_name":     {allowed: filterText},
	"labels":           {allowed: filterExact},
	"created_at":       {allowed: filterOrder, value: isMoment},
	"last_activity_at": {allowed: filterOrder, value: isMoment},
	"blocked":          {allowed: filterEqual, value: isTruth},
}
