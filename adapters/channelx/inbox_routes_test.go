package channelx

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

const noRight = `{"error":"You are not authorized to do this action"}`

func TestInboxesAreListedByNameToThoseWhoMaySeeThem(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := at(t, o.gets(t, adminToken, http.MethodGet, "/inboxes", ""), "payload")
	if first, second := at(t, all, 0, "name"), at(t, all, 1, "name"); first != "a night desk" || second != "Mobile bridge" || len(all.([]any)) != 2 {
		t.Errorf("the inboxes are %v", all)
	}
	ruis := at(t, o.gets(t, ruisToken, http.MethodGet, "/inboxes/", ""), "payload")
	if len(ruis.([]any)) != 1 || at(t, ruis, 0, "id") != 3.0 || at(t, ruis, 0, "secret") != nil || at(t, ruis, 0, "hmac_token") != nil {
		t.Errorf("a member sees %v", ruis)
	}
	if bias := at(t, o.gets(t, biasToken, http.MethodGet, "/inboxes.json", ""), "payload"); len(bias.([]any)) != 0 {
		t.Errorf("a member of nothing sees %v", bias)
	}
	o.refuses(t, biasToken, http.MethodGet, "/inboxes/3", "", http.StatusUnauthorized, noRight)
	o.refuses(t, adminToken, http.MethodGet, "/inboxes/99", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodGet, "/inboxes/bridge", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, umbrasToken, http.MethodGet, "/api/v1/accounts/8/inboxes/3", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
}

func TestOnlyAdministratorsChangeInboxes(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, token := range []string{ruisToken, biasToken, readersToken} {
		for _, c := range [][2]string{
			{http.MethodPost, "/inboxes"}, {http.MethodPatch, "/inboxes/3"}, {http.MethodDelete, "/inboxes/3"}, {http.MethodPost, "/inboxes/3/reset_secret"},
		} {
			o.refuses(t, token, c[0], c[1], `{"name":"x","channel":{"type":"api"}}`, http.StatusUnauthorized, noRight)
		}
	}
	if len(o.channels) != 3 {
		t.Errorf("there are %d channels", len(o.channels))
	}
}

func TestAnInboxIsMadeWithAllThatARequestSets(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := strings.Join([]string{
		"name=Shop", "channel[type]=api", "channel[webhook_url]=https%3A%2F%2Fexample.com%2Fcx%3Fkey%3Da", "channel[hmac_mandatory]=1",
		"channel[additional_attributes][agent_reply_time_window]=24", "lock_to_single_conversation=true", "greeting_enabled=true",
		"greeting_message=Hello", "enable_auto_assignment=false", "allow_messages_after_resolved=0", "working_hours_enabled=true",
		"out_of_office_message=Closed", "timezone=America%2FSao_Paulo", "csat_survey_enabled=true", "enable_email_collect=false",
		"sender_name_type=professional", "business_name=Acme", "avatar_url=https%3A%2F%2Fexample.com%2Fa.png",
		"working_hours[][day_of_week]=1", "working_hours[][open_hour]=8", "working_hours[][open_minutes]=30", "working_hours[][close_hour]=18", "working_hours[][close_minutes]=0",
		"working_hours[][day_of_week]=6", "working_hours[][open_all_day]=true",
	}, "&")
	status, answer := o.sends(t, adminToken, http.MethodPost, "/inboxes", "application/x-www-form-urlencoded", form)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	number, _ := at(t, answer, "id").(float64)
	if number != 5 {
		t.Errorf("its number is %v, but 3 and 4 are taken", number)
	}
	ch, ok := o.ChannelByInbox(officeAccount, int64(number))
	if !ok {
		t.Fatal("there is no such channel")
	}
	want := domain.Inbox{
		Number: 5, Identifier: ch.Inbox.Identifier, HMACMandatory: true, Additional: domain.Object{"agent_reply_time_window": 24.0}, LockToSingle: true,
		Greeting: true, GreetingMessage: "Hello", NoAutoAssignment: true, NoneAfterResolved: true, WorkingHours: true, OutOfOffice: "Closed",
		Timezone: "America/Sao_Paulo", CSAT: true, NoEmailCollect: true, SenderNameType: "professional", BusinessName: "Acme",
		Avatar: "https://example.com/a.png", Hours: workingHours(domain.Inbox{}),
	}
	want.Hours[1] = domain.Hours{Day: 1, OpenHour: 8, OpenMinute: 30, CloseHour: 18}
	want.Hours[6] = domain.Hours{Day: 6, OpenAll: true}
	if !reflect.DeepEqual(ch.Inbox, want) {
		t.Errorf("the inbox is %+v, want %+v", ch.Inbox, want)
	}
	tokens := []string{ch.Inbox.Identifier, ch.Credentials.HMACToken, ch.Credentials.Secret}
	for i, token := range tokens {
		if len(token) != domain.TokenLength || token == tokens[(i+1)%3] {
			t.Errorf("its tokens are %q", tokens)
		}
	}
	if ch.CallbackURL != "https://example.com/cx?key=a" || ch.Delivery.Schedule != nil || ch.Dialect != domain.DialectChannelX {
		t.Errorf("the channel is %+v", ch)
	}
}

// Ensure the objects of an inbox are no larger than those of contacts.
func TestWhatAnInboxKeepsIsBounded(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	long := `{"a":"` + strings.Repeat("x", maxObject) + `"}`
	o.refuses(t, adminToken, http.MethodPatch, "/inboxes/3", `{"csat_config":`+long+`,"channel":{"additional_attributes":`+long+`}}`, http.StatusUnprocessableEntity,
		`{"message":"Additional attributes is too long, Csat config is too long","attributes":["additional_attributes","csat_config"]}`)
}

func TestAReplyWindowCanBeTakenBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, c := range []struct {
		window string
		want   domain.Object
	}{
		{`24`, domain.Object{"agent_reply_time_window": 24.0, "a": "b"}},
		{`"0.5"`, domain.Object{"agent_reply_time_window": 0.5, "a": "b"}},
		{`null`, domain.Object{"a": "b"}},
		{`" "`, domain.Object{"a": "b"}},
		{`{}`, domain.Object{"a": "b"}},
	} {
		o.gets(t, adminToken, http.MethodPatch, "/inboxes/3", `{"channel":{"additional_attributes":{"a":"b","agent_reply_time_window":`+c.window+`}}}`)
		if got := o.channels[bridge].Inbox.Additional; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is kept as %v, want %v", c.window, got, c.want)
		}
	}
}

func TestAnInboxTakesTheNextNumberWhereOneIsTaken(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	taken := o.channels[nightDesk]
	taken.ID, taken.Account, taken.Inbox.Number = "elsewhere", "umbra", 5
	o.channels[taken.ID] = taken
	if id := at(t, o.gets(t, adminToken, http.MethodPost, "/inboxes", `{"name":"x","channel":{"type":"api"}}`), "id"); id != 6.0 {
		t.Errorf("its number is %v", id)
	}
}

func TestInboxesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	long := strings.Repeat("é", 256)
	for _, c := range []struct{ body, want string }{
		{`{"name":" ","channel":{"type":"api"}}`, `{"message":"Name can't be blank","attributes":["name"]}`},
		{`{"channel":{"type":"api"}}`, `{"message":"Name can't be blank","attributes":["name"]}`},
		{`{"name":"` + long + `","channel":{"type":"api"}}`, `{"message":"Name is too long (maximum is 255 characters)","attributes":["name"]}`},
		{`{"name":"x"}`, `{"error":"param is missing or the value is empty or invalid: channel"}`},
		{`{"name":"x","channel":{"type":"email"}}`, `{"message":"Channel must exist","attributes":["channel"]}`},
		{
			`{"name":"x","timezone":"Mars/Base","channel":{"type":"api","webhook_url":"` + strings.Repeat("u", 2049) + `"}}`,
			`{"message":"Webhook url is too long (maximum is 2048 characters), Timezone is not included in the list","attributes":["webhook_url","timezone"]}`,
		},
		{
			`{"name":"x","channel":{"type":"api","additional_attributes":{"agent_reply_time_window":0}}}`,
			`{"message":"Agent reply time window agent_reply_time_window must be greater than 0","attributes":["agent_reply_time_window"]}`,
		},
		{
			`{"name":"x","channel":{"type":"api","additional_attributes":{"agent_reply_time_window":"soon"}}}`,
			`{"message":"Agent reply time window agent_reply_time_window must be greater than 0","attributes":["agent_reply_time_window"]}`,
		},
		{
			`{"name":"x","channel":{"type":"api","additional_attributes":{"agent_reply_time_window":"NaN"}}}`,
			`{"message":"Agent reply time window agent_reply_time_window must be greater than 0","attributes":["agent_reply_time_window"]}`,
		},
		{
			`{"name":"x","channel":{"type":"api","additional_attributes":{"agent_reply_time_window":1e300}}}`,
			`{"message":"Agent reply time window agent_reply_time_window is too big","attributes":["agent_reply_time_window"]}`,
		},
		{
			`{"name":"x","sender_name_type":"odd","working_hours":[{"day_of_week":7}],"channel":{"type":"api"}}`,
			`{"message":"Working hours 0 is invalid, Sender name type is not included in the list","attributes":["working_hours","sender_name_type"]}`,
		},
	} {
		o.refuses(t, adminToken, http.MethodPost, "/inboxes", c.body, http.StatusUnprocessableEntity, c.want)
	}
	if len(o.channels) != 3 {
		t.Errorf("there are %d channels", len(o.channels))
	}
}

func TestAChangeLeavesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.channels[bridge]
	answer := o.gets(t, adminToken, http.MethodPatch, "/inboxes/3/", `{"channel":{"webhook_url":"https://example.com/new"},"greeting_message":null}`)
	if at(t, answer, "webhook_url") != "https://example.com/new" || at(t, answer, "secret") != before.Credentials.Secret {
		t.Errorf("%v", answer)
	}
	after := o.channels[bridge]
	want := before
	want.CallbackURL = "https://example.com/new"
	if !reflect.DeepEqual(after, want) {
		t.Errorf("the channel is %+v, want %+v", after, want)
	}
	o.gets(t, adminToken, http.MethodPatch, "/inboxes/3", `{"channel":{"webhook_url":null}}`)
	if o.channels[bridge].CallbackURL != "" {
		t.Error("a URL that is null stays")
	}
	o.refuses(t, adminToken, http.MethodPatch, "/inboxes/3", `{"name":""}`, http.StatusUnprocessableEntity, `{"message":"Name can't be blank","attributes":["name"]}`)
}

func TestAnEndpointThatMovesIsCalledAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	hook := domain.WebhookTarget(officeAccount, 1)
	o.paused = map[string]domain.Endpoint{}
	for _, target := range []string{bridge, hook} {
		o.paused[target] = domain.Endpoint{Target: target, Account: officeAccount, State: domain.EndpointPaused, Reason: domain.EndpointGone}
	}
	o.gets(t, adminToken, http.MethodPost, "/webhooks", `{"url":"https://example.com/1"}`)
	o.gets(t, adminToken, http.MethodPatch, "/webhooks/1", `{"name":"CRM"}`)
	o.gets(t, adminToken, http.MethodPatch, "/inboxes/3", `{"name":"Bridge"}`)
	if len(o.appended) != 0 {
		t.Errorf("without another address it appended %v", o.appended)
	}
	o.gets(t, adminToken, http.MethodPatch, "/webhooks/1", `{"url":"https://example.com/2"}`)
	o.gets(t, adminToken, http.MethodPatch, "/inboxes/3", `{"channel":{"webhook_url":"https://example.com/new"}}`)
	if len(o.appended) != 2 || o.paused[bridge].State != domain.EndpointHealthy || o.paused[hook].State != domain.EndpointHealthy {
		t.Errorf("it appended %v, the endpoints are %v", o.appended, o.paused)
	}
}

func TestASecretIsReplaced(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	before := o.channels[bridge]
	secret := at(t, o.gets(t, adminToken, http.MethodPost, "/inboxes/3/reset_secret", ""), "secret")
	after := o.channels[bridge]
	if secret != after.Credentials.Secret || secret == before.Credentials.Secret || len(after.Credentials.Secret) != domain.TokenLength {
		t.Errorf("the secret is %v", secret)
	}
	if after.Credentials.HMACToken != before.Credentials.HMACToken || after.Inbox.Identifier != before.Inbox.Identifier {
		t.Error("the other tokens changed")
	}
}

func TestAnInboxIsDeleted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if answer := o.gets(t, adminToken, http.MethodDelete, "/inboxes/3", ""); at(t, answer, "message") == "" {
		t.Errorf("%v", answer)
	}
	o.refuses(t, adminToken, http.MethodGet, "/inboxes/3", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodDelete, "/inboxes/3", "", http.StatusNotFound, `{"error":"Resource could not be found"}`)
}

func TestAnAvatarIsKeptIfItIsAPicture(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	upload := func(kind, content string) (int, any) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="avatar"; filename="a.png"`}, "Content-Type": {kind},
		})
		if err == nil {
			_, err = part.Write([]byte(content))
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return o.sends(t, adminToken, http.MethodPatch, "/inboxes/3", w.FormDataContentType(), b.String())
	}
	status, answer := upload("image/png", "a picture")
	if url := at(t, answer, "avatar_url"); status != http.StatusOK || url != "http://parley.example.com/files/x/a.png" || o.channels[bridge].Inbox.Avatar != url {
		t.Errorf("%d %v", status, answer)
	}
	was := o.channels[bridge].Inbox.Avatar
	for _, c := range [][2]string{{"text/html", "a page"}, {"", "nothing that is known"}, {"image/png", ""}, {"image/png", "MZ a program"}} {
		if status, answer = upload(c[0], c[1]); status != http.StatusUnprocessableEntity || o.channels[bridge].Inbox.Avatar != was {
			t.Errorf("%q: %d %v", c, status, answer)
		}
	}
}
