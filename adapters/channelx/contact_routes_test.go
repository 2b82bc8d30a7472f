package channelx

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"

	"github.com/parley-im/parley/domain"
)

func TestContactsAreListedInPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i := range 16 {
		o.persons = append(o.persons, domain.PersonSeen{Person: domain.Person{ID: int64(100 + i), Name: "another", CreatedAt: officeNoon}})
	}
	answer := o.gets(t, readersToken, http.MethodGet, "/contacts?page=2&sort=-last_activity_at&labels[]=vip&labels[]=new&include_contact_inboxes=false", "")
	if meta := at(t, answer, "meta"); !reflect.DeepEqual(meta, map[string]any{"count": 17.0, "current_page": "2"}) {
		t.Errorf("meta is %v", meta)
	}
	if list, _ := at(t, answer, "payload").([]any); len(list) != 2 || at(t, list, 0, "contact_inboxes") != nil {
		t.Errorf("the second page is %v", list)
	}
	want := domain.PersonQuery{
		Account: officeAccount, Labels: []string{"vip", "new"}, ListedOnly: true, Sort: "last_activity_at", Descending: true, Offset: 15, Limit: 15,
	}
	if !reflect.DeepEqual(o.asked[0], want) {
		t.Errorf("the query is %+v, want %+v", o.asked[0], want)
	}

	answer = o.gets(t, adminToken, http.MethodGet, "/contacts/?sort=shoe_size", "")
	if page := at(t, answer, "meta", "current_page"); page != 1.0 {
		t.Errorf("the page is %v", page)
	}
	if sources, _ := at(t, answer, "payload", 0, "contact_inboxes").([]any); len(sources) != 2 {
		t.Errorf("the contact is %v", at(t, answer, "payload", 0))
	}
	if q := o.asked[1]; q.Sort != "" || q.Descending || q.Offset != 0 || !q.WithIdentities {
		t.Errorf("the query is %+v", q)
	}
}

func TestASearchTellsWhetherThereIsMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i := range 15 {
		o.persons = append(o.persons, domain.PersonSeen{Person: domain.Person{ID: int64(100 + i), CreatedAt: officeNoon}})
	}
	answer := o.gets(t, ruisToken, http.MethodGet, "/contacts/search?q=%2B1555&page=1", "")
	if meta := at(t, answer, "meta"); !reflect.DeepEqual(meta, map[string]any{"count": 15.0, "current_page": "1", "has_more": true}) {
		t.Errorf("meta is %v", meta)
	}
	if q := o.asked[0]; q.Search != "+1555" || q.ListedOnly || q.Limit != 16 {
		t.Errorf("the query is %+v", q)
	}
	answer = o.gets(t, ruisToken, http.MethodGet, "/contacts/search?q=x&page=2", "")
	if meta := at(t, answer, "meta"); !reflect.DeepEqual(meta, map[string]any{"count": 1.0, "current_page": "2", "has_more": false}) {
		t.Errorf("meta is %v", meta)
	}
	answer = o.gets(t, ruisToken, http.MethodGet, "/contacts/search?q=+", "")
	if list, _ := at(t, answer, "payload").([]any); len(list) != 0 || len(o.asked) != 2 {
		t.Errorf("a blank search finds %v", answer)
	}
}

func TestSearchesOfAnAccountAreCounted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 20 {
		o.gets(t, adminToken, http.MethodGet, "/contacts/search?q=x", "")
	}
	if status, answer := o.says(t, ruisToken, http.MethodGet, "/contacts/search?q=x", ""); status != http.StatusTooManyRequests || answer != "Retry later" {
		t.Errorf("%d %v", status, answer)
	}
	o.gets(t, adminToken, http.MethodGet, "/contacts", "")
}

func TestAFilterTakesItsConditionsToTheRows(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	answer := o.gets(t, readersToken, http.MethodPost, "/contacts/filter?page=1",
		`{"payload":[{"attribute_key":"phone_number","filter_operator":"equal_to","values":["15550100"],"query_operator":null}]}`)
	if at(t, answer, "meta", "count") != 1.0 || at(t, answer, "payload", 0, "id") != 77.0 {
		t.Errorf("%v", answer)
	}
	want := []domain.Condition{{Key: "phone_number", Compare: domain.EqualTo, Values: []string{"+15550100"}}}
	if q := o.asked[0]; !q.ListedOnly || !reflect.DeepEqual(q.Conditions, want) {
		t.Errorf("the query is %+v", q)
	}
	o.gets(t, readersToken, http.MethodPost, "/contacts/filter", `{"payload":[]}`)
	o.gets(t, readersToken, http.MethodPost, "/contacts/filter", "")
	if status, _ := o.says(t, readersToken, http.MethodPost, "/contacts/filter", `{"payload":[{"attribute_key":"x"}]}`); status != http.StatusUnprocessableEntity || len(o.asked) != 3 {
		t.Errorf("%d after %d queries", status, len(o.asked))
	}
}

func TestAContactIsShown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.present = []int64{anasID}
	answer := at(t, o.gets(t, biasToken, http.MethodGet, "/contacts/77", ""), "payload")
	if at(t, answer, "availability_status") != "online" || at(t, answer, "contact_inboxes", 1, "source_id") != anasSource {
		t.Errorf("%v", answer)
	}
	o.refuses(t, biasToken, http.MethodGet, "/contacts/78", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, umbrasToken, http.MethodGet, "/api/v1/accounts/8/contacts/77", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, umbrasToken, http.MethodGet, "/contacts/77", "", http.StatusUnauthorized, `{"error":"You are not authorized to access this account"}`)
}

func TestWhoMayChangeContacts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, path := range []string{"POST /contacts", "PUT /contacts/77", "PATCH /contacts/77", "POST /contacts/77/contact_inboxes", "POST /contacts/77/labels", "POST /actions/contact_merge"} {
		var method, where string
		_, _ = fmt.Sscan(path, &method, &where)
		o.refuses(t, readersToken, method, where, `{}`, http.StatusUnauthorized, noRight)
	}
	o.refuses(t, ruisToken, http.MethodDelete, "/contacts/77", "", http.StatusUnauthorized, noRight)
	// An inbox that the caller does not see, or that is not there, is found before
	// anything is decided.
	o.refuses(t, ruisToken, http.MethodPost, "/contacts", `{"inbox_id":4,"name":"Bo"}`, http.StatusUnauthorized, noRight)
	for _, inbox := range []string{`99`, `"x"`, `{}`} {
		o.refuses(t, adminToken, http.MethodPost, "/contacts", `{"inbox_id":`+inbox+`,"name":"Bo"}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
	}
	o.refuses(t, adminToken, http.MethodPost, "/contacts/77/contact_inboxes", `{}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodPost, "/actions/contact_merge", `{"base_contact_id":77}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
}

func TestAContactWhoIsThereIsNotDeleted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.present = []int64{anasID}
	o.refuses(t, adminToken, http.MethodDelete, "/contacts/77", "", http.StatusUnprocessableEntity, `{"message":"Ana Prado is Online, please try again later","attributes":[]}`)
	o.refuses(t, adminToken, http.MethodDelete, "/contacts/78", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
}

func TestConversationsOfAContactAreThoseOfInboxesThatTheCallerSees(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for token, channels := range map[string][]string{adminToken: {nightDesk, bridge}, ruisToken: {bridge}, biasToken: {}} {
		o.wanted = nil
		if answer := o.gets(t, token, http.MethodGet, "/contacts/77/conversations", ""); len(at(t, answer, "payload").([]any)) != 0 {
			t.Errorf("%v", answer)
		}
		if want := (domain.TicketQuery{Account: officeAccount, Channels: channels, Person: anasID, Limit: 20}); !reflect.DeepEqual(o.wanted[0], want) {
			t.Errorf("the query is %+v, want %+v", o.wanted[0], want)
		}
	}
	o.refuses(t, adminToken, http.MethodGet, "/contacts/78/conversations", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
}

func TestWhereAContactCanBeWrittenTo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	list := at(t, o.gets(t, adminToken, http.MethodGet, "/contacts/77/contactable_inboxes", ""), "payload")
	if at(t, list, 1, "inbox", "id") != 3.0 || at(t, list, 1, "source_id") != anasSource {
		t.Errorf("%v", list)
	}
	made, _ := at(t, list, 0, "source_id").(string)
	if at(t, list, 0, "inbox", "id") != 4.0 || len(made) != 36 {
		t.Errorf("%v", list)
	}
	if list = at(t, o.gets(t, ruisToken, http.MethodGet, "/contacts/77/contactable_inboxes", ""), "payload"); len(list.([]any)) != 1 {
		t.Errorf("a member of one inbox is told of %v", list)
	}
}

func TestAContactIsFoundByItsInbox(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	answer := o.gets(t, ruisToken, http.MethodPost, "/contact_inboxes/filter", `{"inbox_id":"3","source_id":"older"}`)
	if at(t, answer, "id") != 77.0 || at(t, answer, "contact_inboxes", 0, "source_id") != "older" {
		t.Errorf("%v", answer)
	}
	for _, body := range []string{`{"inbox_id":3,"source_id":"nobody's"}`, `{"inbox_id":4,"source_id":"older"}`, `{"inbox_id":99}`, `{}`} {
		o.refuses(t, adminToken, http.MethodPost, "/contact_inboxes/filter", body, http.StatusNotFound, "")
	}
	o.refuses(t, biasToken, http.MethodPost, "/contact_inboxes/filter", `{"inbox_id":3,"source_id":"older"}`, http.StatusUnauthorized, noRight)
}

func TestLabels(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if got := o.gets(t, biasToken, http.MethodGet, "/contacts/77/labels", ""); !reflect.DeepEqual(at(t, got, "payload"), []any{"vip"}) {
		t.Errorf("%v", got)
	}
	all := at(t, o.gets(t, biasToken, http.MethodGet, "/labels", ""), "payload")
	if want := []any{map[string]any{"id": 5.0, "title": "refund", "description": "", "color": labelColor, "show_on_sidebar": true}}; !reflect.DeepEqual(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
}

func TestAContactIsMadeAndChanged(t *testing.T) {
	t.Parallel()
	o, _ := newBusyOffice(t)
	made := at(t, o.gets(t, ruisToken, http.MethodPost, "/contacts",
		`{"inbox_id":"3","source_id":"ext-ana","name":"Ana Prado","email":"Ana@Example.com","identifier":"crm-48213","phone_number":"+15550100",
		  "avatar_url":"https://example.com/a.png","custom_attributes":{"plan":"gold"},"additional_attributes":{"city":"Porto"}}`), "payload")
	contact, inbox := at(t, made, "contact"), at(t, made, "contact_inbox")
	id, _ := at(t, contact, "id").(float64)
	for name, want := range map[string]any{
		"email": "ana@example.com", "thumbnail": "https://example.com/a.png", "blocked": false, "created_at": at(t, contact, "created_at"),
		"custom_attributes": map[string]any{"plan": "gold"}, "additional_attributes": map[string]any{"city": "Porto"}, "last_activity_at": nil,
	} {
		if got := at(t, contact, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if at(t, inbox, "source_id") != "ext-ana" || at(t, contact, "contact_inboxes", 0, "source_id") != "ext-ana" || at(t, inbox, "inbox", "account_id") != 7.0 {
		t.Errorf("%v", made)
	}

	// What is not named stays, what is null goes, and attributes are merged.
	path := fmt.Sprintf("/contacts/%v", id)
	changed := at(t, o.gets(t, biasToken, http.MethodPatch, path, `{"email":null,"blocked":"1","custom_attributes":{"tier":2}}`), "payload")
	if at(t, changed, "email") != nil || at(t, changed, "blocked") != true || at(t, changed, "phone_number") != "+15550100" ||
		!reflect.DeepEqual(at(t, changed, "custom_attributes"), map[string]any{"plan": "gold", "tier": 2.0}) {
		t.Errorf("%v", changed)
	}
	if read := at(t, o.gets(t, readersToken, http.MethodGet, path, ""), "payload"); !reflect.DeepEqual(read, changed) {
		t.Errorf("%v is read as %v", changed, read)
	}
	o.refuses(t, adminToken, http.MethodPatch, path, `{"phone_number":"15550100"}`, http.StatusUnprocessableEntity,
		`{"message":"Phone number should be in e164 format","attributes":["phone_number"]}`)
	o.refuses(t, adminToken, http.MethodPatch, "/contacts/999999", `{"name":"Bo"}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)

	// Without an inbox nothing links the contact.
	bare := o.gets(t, adminToken, http.MethodPost, "/contacts", `{"name":"Bo","inbox_id":null}`)
	if !reflect.DeepEqual(at(t, bare, "payload", "contact_inbox"), map[string]any{"inbox": nil, "source_id": nil}) {
		t.Errorf("%v", bare)
	}
	o.refuses(t, adminToken, http.MethodPost, "/contacts", `{"name":"Ty","identifier":"crm-48213"}`, http.StatusUnprocessableEntity,
		`{"message":"Identifier has already been taken","attributes":["identifier"]}`)
}

func TestAContactIsLinkedLabelledMergedAndDeleted(t *testing.T) {
	t.Parallel()
	o, _ := newBusyOffice(t)
	makes := func(body string) (id float64, path string) {
		t.Helper()
		id, _ = at(t, o.gets(t, adminToken, http.MethodPost, "/contacts", body), "payload", "contact", "id").(float64)
		return id, fmt.Sprintf("/contacts/%v", id)
	}
	ana, path := makes(`{"name":"Ana","identifier":"crm-1"}`)
	for range 2 {
		linked := o.gets(t, ruisToken, http.MethodPost, path+"/contact_inboxes", `{"inbox_id":3,"source_id":"ext-ana"}`)
		if at(t, linked, "source_id") != "ext-ana" || at(t, linked, "inbox", "id") != 3.0 {
			t.Errorf("%v", linked)
		}
	}
	if source, _ := at(t, o.gets(t, adminToken, http.MethodPost, path+"/contact_inboxes", `{"inbox_id":3}`), "source_id").(string); len(source) != 36 {
		t.Errorf("without a source_id it made %q", source)
	}
	if list, _ := at(t, o.gets(t, adminToken, http.MethodGet, path, ""), "payload", "contact_inboxes").([]any); len(list) != 2 {
		t.Errorf("it is linked %v", list)
	}
	for _, c := range []struct{ labels, want string }{{`["vip","new","vip"]`, `{"payload":["new","vip"]}`}, {`["vip"]`, `{"payload":["vip"]}`}, {`[]`, `{"payload":[]}`}} {
		o.refuses(t, ruisToken, http.MethodPost, path+"/labels", `{"labels":`+c.labels+`}`, http.StatusOK, c.want)
	}

	bo, other := makes(`{"name":"Bo","email":"bo@example.com","inbox_id":3,"source_id":"ext-bo"}`)
	merged := o.gets(t, ruisToken, http.MethodPost, "/actions/contact_merge", fmt.Sprintf(`{"base_contact_id":%v,"mergee_contact_id":"%v"}`, ana, bo))
	if at(t, merged, "id") != ana || at(t, merged, "name") != "Ana" || at(t, merged, "email") != "bo@example.com" || at(t, merged, "contact_inboxes") != nil {
		t.Errorf("%v", merged)
	}
	o.refuses(t, adminToken, http.MethodGet, other, "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	if found := o.gets(t, adminToken, http.MethodPost, "/contact_inboxes/filter", `{"inbox_id":3,"source_id":"ext-bo"}`); at(t, found, "id") != ana {
		t.Errorf("%v", found)
	}
	o.refuses(t, adminToken, http.MethodDelete, path, "", http.StatusOK, "")
	o.refuses(t, adminToken, http.MethodGet, path, "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodDelete, path, "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
}
