package channelx

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// fixedToken is a minter that has one token for everybody.
type fixedToken string

func (f fixedToken) SocketToken(string) string { return string(f) }

// catalogue is what has been set up in the samples of channelx.md.
type catalogue struct {
	directory
	inboxes

	channel domain.Channel
}

func (c catalogue) Account(name string) (domain.Account, bool) {
	return domain.Account{Name: name, Title: "Acme Support"}, name == domain.DefaultAccount
}

func (c catalogue) Agent(_ string, number int64) (domain.Agent, bool) {
	return domain.Agent{Number: 4, Username: "rui", DisplayName: "Rui Costa", Email: "rui@example.test"}, number == 4
}

func (c catalogue) Tokens(account string) []domain.Token {
	return []domain.Token{{ID: "t1", Account: account, Role: domain.RoleAdmin, Agent: 4}, {ID: "t2", Account: account, Name: "the bridge", Role: domain.RoleAgent}}
}

func (c catalogue) Queue(account string, number int64) (domain.Queue, bool) {
	return domain.Queue{Number: 2, Account: account, Name: "billing"}, number == 2
}

func (c catalogue) Channel(id string) (domain.Channel, bool) { return c.channel, id == c.channel.ID }

// sampleTime is a time in the samples.
func sampleTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func sampleChannel() domain.Channel {
	return domain.Channel{
		ID: "620418000017", Account: domain.DefaultAccount, Dialect: domain.DialectChannelX, Name: "Mobile bridge",
		CallbackURL: "https://bridge.example.test/cx", CreatedAt: time.Unix(1765000000, 0), UpdatedAt: time.Unix(1765000001, 0),
		Credentials: domain.Credentials{HMACToken: "k9Yw2rTzQm4VbX7sLd1NcA5e", Secret: "Zt6qWm3pXc8RfJ2hVd5KsB7n"},
		Inbox:       domain.Inbox{Number: 3, Identifier: "wQ7hK2mXv9TzR4sYb8LcNd31"},
	}
}

func samplePerson() domain.Person {
	return domain.Person{
		ID: 77, Revision: 1, Name: "Ana Prado", Phone: "+5511988887777", Identifier: "crm-48213",
		CreatedAt: time.Unix(1765000100, 0), UpdatedAt: time.Unix(1765000100, 0),
	}
}

func sampleIdentity() domain.Identity {
	at := sampleTime("2025-12-06T05:48:20.114Z")
	return domain.Identity{
		ID: 91, PersonID: 77, Channel: "620418000017", SourceID: "a5f0c1d2-7b34-4c8e-9d21-0f6b3e7a9c44", CreatedAt: at, UpdatedAt: at,
	}
}

func sampleOperator() *domain.Operator {
	return &domain.Operator{ID: 4, Name: "Rui Costa", Short: "Rui", Email: "rui@example.test"}
}

// sampleReply is what an operator wrote.
func sampleReply() domain.Post {
	at := sampleTime("2025-12-06T05:49:00.201Z")
	return domain.Post{
		ID: 502, Message: uuid.MustParse("0d7aa3a4-5f0e-4b0c-8f8a-0d6e7c1b2a30"), Number: 12, Revision: 1, Type: domain.PostOutgoing,
		Content: new("It ships today."), ContentType: "text", Status: domain.StatusSent, By: domain.Author{Operator: sampleOperator()},
		CreatedAt: at, UpdatedAt: at,
	}
}

func sampleTicket() domain.Ticket {
	reply := sampleTime("2025-12-06T05:49:00.201Z")
	return domain.Ticket{
		ID: domain.TicketID(domain.DefaultAccount, 12), Number: 12, Revision: 3, IdentityID: 91, Status: domain.TicketOpen, Assignee: 4,
		Unread: 1, FirstReplyAt: &reply, LastActivityAt: time.Unix(1765000140, 0), CreatedAt: time.Unix(1765000100, 0),
		UpdatedAt: sampleTime("2025-12-06T05:49:00.233Z"),
	}
}

func sampleScene() domain.Scene {
	return domain.Scene{
		Account: domain.Named{ID: 1, Name: "Acme Support"}, Inbox: domain.Named{ID: 3, Name: "Mobile bridge"}, Ticket: sampleTicket(),
		Person: samplePerson(), Identity: sampleIdentity(), CanReply: true, Assignee: sampleOperator(), Public: new(sampleReply()),
	}
}

// sampleView shows as of the samples; online are the operators who are there.
func sampleView(online ...int64) *view {
	c := catalogue{channel: sampleChannel()}
	return &view{
		directory: c, inboxes: c, minter: fixedToken("Qp3VnX8dLrT6yBz1KcWm5Hs9"), there: attendance{operators: online},
		now: func() time.Time { return time.Unix(1765000200, 0) },
	}
}

// asJSON is a value as whoever reads JSON sees it.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	raw, ok := v.([]byte)
	if s, isText := v.(string); isText {
		raw, ok = []byte(s), true
	}
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	var read any
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return read
}

// same compares what is shown with a sample.
func same(t *testing.T, what string, shown any, sample string) {
	t.Helper()
	got, want := asJSON(t, shown), asJSON(t, sample)
	if reflect.DeepEqual(got, want) {
		return
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	t.Errorf("%s is\n%s\nwant\n%s", what, text, sample)
}

// members compares the names of the members of what is shown with a list.
func members(t *testing.T, what string, shown any, names string) map[string]any {
	t.Helper()
	object, ok := asJSON(t, shown).(map[string]any)
	if !ok {
		t.Fatalf("%s is no object", what)
	}
	want := strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	for _, name := range want {
		if _, ok := object[name]; !ok {
			t.Errorf("%s has no %s", what, name)
		}
	}
	for name := range object {
		if !slices.Contains(want, name) {
			t.Errorf("%s has %s", what, name)
		}
	}
	return object
}

const (
	samplePushContact = `{"additional_attributes":{},"custom_attributes":{},"email":null,"id":77,"identifier":"crm-48213","name":"Ana Prado","phone_number":"+5511988887777","thumbnail":"","blocked":false,"type":"contact"}`
	samplePushUser    = `{"id":4,"name":"Rui Costa","available_name":"Rui","avatar_url":"","type":"user","availability_status":"online","thumbnail":""}`
	samplePushMessage = `{"id":502,"content":"It ships today.","account_id":1,"inbox_id":3,"conversation_id":12,"message_type":1,"created_at":1765000140,"updated_at":"2025-12-06T05:49:00.201Z","private":false,"status":"sent","source_id":null,"content_type":"text","content_attributes":{},"sender_type":"User","sender_id":4,"external_source_ids":{},"additional_attributes":{},"processed_message_content":"It ships today.","sentiment":{},"conversation":{"assignee_id":4,"unread_count":1,"last_activity_at":1765000140,"contact_inbox":{"source_id":"a5f0c1d2-7b34-4c8e-9d21-0f6b3e7a9c44"}},"sender":` + samplePushUser + `}`
	sampleConversed   = `{"additional_attributes":{},"can_reply":true,"channel":"Channel::Api","contact_inbox":{"id":91,"contact_id":77,"inbox_id":3,"source_id":"a5f0c1d2-7b34-4c8e-9d21-0f6b3e7a9c44","created_at":"2025-12-06T05:48:20.114Z","updated_at":"2025-12-06T05:48:20.114Z","hmac_verified":false,"pubsub_token":"Qp3VnX8dLrT6yBz1KcWm5Hs9"},"id":12,"inbox_id":3,"messages":[` + samplePushMessage + `],"labels":[],"meta":{"sender":` + samplePushContact + `,"assignee":` + samplePushUser + `,"assignee_type":"User","team":null,"hmac_verified":false},"status":"open","custom_attributes":{},"snoozed_until":null,"unread_count":1,"first_reply_created_at":"2025-12-06T05:49:00.201Z","priority":null,"waiting_since":0,"agent_last_seen_at":0,"contact_last_seen_at":0,"last_activity_at":1765000140,"timestamp":1765000140,"created_at":1765000100,"updated_at":1765000140.233`
	sampleAccount     = `"account":{"id":1,"name":"Acme Support"}`
	sampleMessageBody = `{` + sampleAccount + `,"additional_attributes":{},"content_attributes":{},"content_type":"text","content":"It ships today.","conversation":` + sampleConversed + `,` + sampleAccount + `},"created_at":"2025-12-06T05:49:00.201Z","id":502,"inbox":{"id":3,"name":"Mobile bridge"},"message_type":"outgoing","private":false,"sender":{"id":4,"name":"Rui Costa","email":"rui@example.test","type":"user"},"source_id":null,"status":"sent","event":"message_created"}`
	sampleBehind      = `{` + sampleAccount + `,"additional_attributes":{},"avatar":"","custom_attributes":{},"email":null,"id":77,"identifier":"crm-48213","name":"Ana Prado","phone_number":"+5511988887777","thumbnail":"","blocked":false,"type":"contact"`
)

// Ensure the forms of which channelx.md shows a sample are as it is.
func TestView_Samples(t *testing.T) {
	t.Parallel()
	v := sampleView(4)
	seen := domain.PersonSeen{Person: samplePerson(), Identities: []domain.Identity{sampleIdentity()}}
	same(t, "a contact", v.contact(seen, false, true), `{"additional_attributes":{},"availability_status":"offline","email":null,"id":77,"name":"Ana Prado","phone_number":"+5511988887777","blocked":false,"identifier":"crm-48213","thumbnail":"","custom_attributes":{},"created_at":1765000100,"contact_inboxes":[{"source_id":"a5f0c1d2-7b34-4c8e-9d21-0f6b3e7a9c44","inbox":{"id":3,"avatar_url":"","channel_id":3,"name":"Mobile bridge","channel_type":"Channel::Api","provider":null}}]}`)
	same(t, "an inbox in a new contact", v.rawInbox(sampleChannel()), `{"id":3,"channel_id":3,"account_id":1,"name":"Mobile bridge","channel_type":"Channel::Api","created_at":"2025-12-06T05:46:40.000Z","updated_at":"2025-12-06T05:46:41.000Z"}`)
	heard := domain.Post{
		ID: 501, Number: 12, Type: domain.PostIncoming, Content: new("Is my order out yet?"), ContentType: "text", Status: domain.StatusSent,
		SourceID: "ext-881", By: domain.Author{Contact: true}, CreatedAt: time.Unix(1765000123, 0), UpdatedAt: time.Unix(1765000123, 0),
	}
	same(t, "a message", v.message(sampleChannel(), heard, samplePerson(), "tmp-9"), `{"id":501,"content":"Is my order out yet?","inbox_id":3,"echo_id":"tmp-9","conversation_id":12,"message_type":0,"content_type":"text","status":"sent","content_attributes":{},"created_at":1765000123,"private":false,"source_id":"ext-881","sender":`+samplePushContact+`}`)
	same(t, "a message on a cable", v.pushMessage(sampleReply(), sampleScene(), ""), samplePushMessage)
	same(t, "a conversation on a cable", v.pushConversationOf(sampleScene(), false), sampleConversed+`,"account_id":1}`)
	same(t, "a contact on a cable", v.pushContact(samplePerson()), samplePushContact)
	same(t, "an operator on a cable", v.pushUser(*sampleOperator(), online), samplePushUser)
}

// Ensure callbacks say what channelx.md shows, of each kind of notice.
func TestCallbackBody_Samples(t *testing.T) {
	t.Parallel()
	v := sampleView(4)
	scene, reply, person := sampleScene(), sampleReply(), samplePerson()
	changes := []domain.Change{
		{Name: "status", Previous: "resolved", Current: "open"},
		{Name: "updated_at", Previous: "2025-12-06T05:40:00.000Z", Current: "2025-12-06T05:48:43.120Z"},
	}
	changed := `"changed_attributes":[{"status":{"previous_value":"resolved","current_value":"open"}},{"updated_at":{"previous_value":"2025-12-06T05:40:00.000Z","current_value":"2025-12-06T05:48:43.120Z"}}]`
	contact := domain.Author{Contact: true}
	operator := domain.Author{Operator: sampleOperator()}
	account := scene.Account
	updated := strings.Replace(sampleMessageBody, `"event":"message_created"`, changed+`,"event":"message_updated"`, 1)
	conversation := func(event, more string) string {
		return sampleConversed + `,` + sampleAccount + `,"event":"` + event + `"` + more + `}`
	}
	typing := func(event, who, private string) string {
		return `{"event":"` + event + `","user":` + who + `,"conversation":` + sampleConversed + `,` + sampleAccount + `},"is_private":` + private + `}`
	}
	for _, tt := range []struct {
		notice domain.Notice
		want   string
	}{
		{domain.Notice{Name: domain.NoticeMessageCreated, Account: account, Scene: &scene, Post: &reply}, sampleMessageBody},
		{domain.Notice{Name: domain.NoticeMessageUpdated, Account: account, Scene: &scene, Post: &reply, Changes: changes}, updated},
		{domain.Notice{Name: domain.NoticeConversationCreated, Account: account, Scene: &scene}, conversation("conversation_created", "")},
		{domain.Notice{Name: domain.NoticeConversationUpdated, Account: account, Scene: &scene, Changes: changes}, conversation("conversation_updated", ","+changed)},
		{domain.Notice{Name: domain.NoticeConversationStatusChanged, Account: account, Scene: &scene, Changes: changes}, conversation("conversation_status_changed", ","+changed)},
		{domain.Notice{Name: domain.NoticeTypingOn, Account: account, Scene: &scene, By: contact}, typing("conversation_typing_on", sampleBehind+"}", "false")},
		{domain.Notice{Name: domain.NoticeTypingOff, Account: account, Scene: &scene, By: operator, Private: true}, typing("conversation_typing_off", `{"id":4,"name":"Rui Costa","email":"rui@example.test","type":"user"}`, "true")},
		{domain.Notice{Name: domain.NoticeContactCreated, Account: account, Person: &person}, sampleBehind + `,"event":"contact_created"}`},
		{domain.Notice{Name: domain.NoticeContactUpdated, Account: account, Person: &person, Changes: changes}, sampleBehind + `,"event":"contact_updated",` + changed + `}`},
	} {
		body, err := v.callbackBody(tt.notice)
		if err != nil {
			t.Errorf("%s: %v", tt.notice.Name, err)
			continue
		}
		same(t, tt.notice.Name, body, tt.want)
	}
	for _, n := range []domain.Notice{
		{Name: domain.NoticeMessageCreated, Scene: &scene}, {Name: domain.NoticeMessageUpdated, Post: &reply}, {Name: domain.NoticeConversationCreated},
		{Name: domain.NoticeContactCreated}, {Name: domain.NoticeTypingOn}, {Name: "something_else", Scene: &scene},
	} {
		if body, err := v.callbackBody(n); err == nil {
			t.Errorf("%s says %s, want an error", n.Name, body)
		}
	}
}

// Ensure callbacks show a note beside the newest public message, a contact as the
// sender, files, and a text without the traces of its editor.
func TestCallbackBody_Messages(t *testing.T) {
	t.Parallel()
	v, scene := sampleView(4), sampleScene()
	note := sampleReply()
	note.ID, note.Private, note.Content = 503, true, new("not sure\n")
	body, err := v.callbackBody(domain.Notice{Name: domain.NoticeMessageCreated, Scene: &scene, Post: &note})
	if err != nil {
		t.Fatal(err)
	}
	o := asJSON(t, body).(map[string]any)
	latest := o["conversation"].(map[string]any)["messages"].([]any)[0].(map[string]any)
	if o["private"] != true || o["content"] != "not sure" || latest["content"] != "It ships today." {
		t.Errorf("a note is told as %s", body)
	}

	scene.Public = nil
	heard := domain.Post{
		ID: 504, Number: 12, Type: domain.PostIncoming, ContentType: "text", Status: domain.StatusSent, By: domain.Author{Contact: true},
		Files: []domain.PostFile{{ID: 9, Kind: "image", Name: "a.b.png", ContentType: "image/png", URL: "https://p.example.com/f/k/a.b.png", Size: 12, Width: 2, Height: 3}, {ID: 10, Kind: "audio", Name: "voice", ContentType: "audio/ogg", URL: "https://p.example.com/f/l/voice"}},
	}
	body, err = v.callbackBody(domain.Notice{Name: domain.NoticeMessageCreated, Scene: &scene, Post: &heard})
	if err != nil {
		t.Fatal(err)
	}
	o = asJSON(t, body).(map[string]any)
	if list := o["conversation"].(map[string]any)["messages"]; !reflect.DeepEqual(list, []any{}) || o["content"] != nil || o["message_type"] != "incoming" {
		t.Errorf("a file is told as %s", body)
	}
	same(t, "its sender", o["sender"], sampleBehind+"}")
	same(t, "its files", o["attachments"], `[{"id":9,"message_id":504,"file_type":"image","account_id":1,"extension":"png","content_type":"image/png","data_url":"https://p.example.com/f/k/a.b.png","thumb_url":"https://p.example.com/f/k/a.b.png","file_size":12,"width":2,"height":3},
		{"id":10,"message_id":504,"file_type":"audio","account_id":1,"extension":null,"content_type":"audio/ogg","data_url":"https://p.example.com/f/l/voice","thumb_url":"","file_size":0,"width":null,"height":null,"transcribed_text":""}]`)

	for _, tt := range []struct{ content, want string }{
		{"a\\\nb\n\n", "a\nb"}, {"a\\\r\nb\r\n", "a\r\nb"}, {"\n", ""}, {"a\\b\\", "a\\b\\"}, {" a <b> & c ", " a <b> & c "}, {"a\n ", "a\n "},
	} {
		if got := tidyContent(&tt.content); *got != tt.want {
			t.Errorf("%q is told as %q, want %q", tt.content, *got, tt.want)
		}
	}
}

const (
	inboxMembers = `id, name, channel_id, channel_type, avatar_url, webhook_url, inbox_identifier, hmac_mandatory, additional_attributes,
		greeting_enabled, greeting_message, working_hours_enabled, working_hours, out_of_office_message, timezone, enable_email_collect,
		csat_survey_enabled, csat_config, enable_auto_assignment, auto_assignment_config, allow_messages_after_resolved,
		lock_to_single_conversation, sender_name_type, business_name, callback_webhook_url, provider, website_url, website_token,
		widget_color, welcome_title, welcome_tagline, web_widget_script, selected_feature_flags, reply_time, allowed_domains,
		messaging_service_sid, phone_number`
	rawMembers = `id, name, email, phone_number, account_id, created_at, updated_at, additional_attributes, identifier, custom_attributes,
		last_activity_at, contact_type, middle_name, last_name, location, country_code, blocked, company_id, label_list`
	conversationMembers = `id, uuid, account_id, inbox_id, status, priority, meta, messages, last_non_activity_message, labels, custom_attributes,
		additional_attributes, can_reply, muted, unread_count, snoozed_until, created_at, updated_at, timestamp, last_activity_at,
		first_reply_created_at, waiting_since, agent_last_seen_at, assignee_last_seen_at, contact_last_seen_at, sla_policy_id`
)

// Ensure each form has the members of channelx.md and no others, and that lists and
// objects are never null.
func TestView_Members(t *testing.T) {
	t.Parallel()
	v := sampleView()
	ch := sampleChannel()
	for _, admin := range []bool{false, true} {
		names := inboxMembers
		if admin {
			names += ", hmac_token, secret"
		}
		o := members(t, "an inbox", v.inbox(ch, admin), names)
		same(t, "its hours", o["working_hours"].([]any)[1], `{"day_of_week":1,"closed_all_day":false,"open_hour":9,"open_minutes":0,"close_hour":17,"close_minutes":0,"open_all_day":false}`)
		if len(o["working_hours"].([]any)) != 7 || o["timezone"] != "UTC" || o["sender_name_type"] != "friendly" || o["enable_email_collect"] != true ||
			o["allow_messages_after_resolved"] != true || o["webhook_url"] != ch.CallbackURL {
			t.Errorf("an inbox is %v", o)
		}
	}
	ch.CallbackURL, ch.Inbox.Hours = "", []domain.Hours{{Day: 0, OpenAll: true}, {Day: 9}}
	o := members(t, "a bare inbox", v.inbox(ch, false), inboxMembers)
	if o["webhook_url"] != nil || o["working_hours"].([]any)[0].(map[string]any)["open_all_day"] != true {
		t.Errorf("a bare inbox is %v", o)
	}
	members(t, "an inbox of the client API", v.clientInbox(ch), "identifier, identity_validation_enabled, name, timezone, working_hours, working_hours_enabled, csat_survey_enabled, greeting_enabled")

	person := domain.PersonSeen{Person: samplePerson()}
	contact := "additional_attributes, availability_status, email, id, name, phone_number, blocked, identifier, thumbnail, custom_attributes, created_at"
	members(t, "a contact", v.contact(person, true, false), contact)
	o = members(t, "a contact without inboxes", v.contact(person, true, true), contact+", contact_inboxes")
	if !reflect.DeepEqual(o["contact_inboxes"], []any{}) || o["availability_status"] != "online" {
		t.Errorf("a contact is %v", o)
	}
	raw := members(t, "a raw contact", v.rawContactOf(domain.DefaultAccount, person), rawMembers)
	if raw["contact_type"] != "lead" || raw["last_activity_at"] != nil || raw["created_at"] != "2025-12-06T05:48:20.000Z" || !reflect.DeepEqual(raw["label_list"], []any{}) {
		t.Errorf("a raw contact is %v", raw)
	}
	at := time.Unix(1765000140, 5e8)
	person.LastActivityAt, person.Phone = &at, ""
	o = members(t, "an active contact", v.contact(person, true, false), contact+", last_activity_at")
	raw = members(t, "a raw contact to itself", v.rawContactAs(domain.DefaultAccount, person, sampleIdentity()), rawMembers+", source_id, pubsub_token")
	if o["last_activity_at"] != 1765000140.0 || raw["contact_type"] != "visitor" || raw["last_activity_at"] != "2025-12-06T05:49:00.500Z" {
		t.Errorf("an active contact is %v and %v", o, raw)
	}
	members(t, "a contact of the client API", v.clientContact(sampleIdentity(), samplePerson()), "source_id, pubsub_token, id, name, email, phone_number")

	members(t, "an operator in full", v.fullUser(domain.DefaultAccount, *sampleOperator(), "agent", offline),
		"id, account_id, availability_status, auto_offline, confirmed, email, provider, available_name, name, role, thumbnail")
	members(t, "a team", v.team(domain.Team{Number: 2, Account: domain.DefaultAccount}, true), "id, name, description, allow_auto_assign, account_id, is_member")

	activity := domain.Post{ID: 1, Number: 12, Type: domain.PostActivity, ContentType: "text", Status: domain.StatusSent}
	o = members(t, "an activity", v.message(ch, activity, samplePerson(), ""), "id, content, inbox_id, conversation_id, message_type, content_type, content_attributes, status, private, source_id, created_at")
	same(t, "its attributes", o["content_attributes"], `{}`)
	o = members(t, "an activity on a cable", v.pushMessage(activity, sampleScene(), ""), `id, content, account_id, inbox_id, conversation_id, message_type, created_at,
		updated_at, private, status, source_id, content_type, content_attributes, sender_type, sender_id, external_source_ids,
		additional_attributes, processed_message_content, sentiment, conversation`)
	if o["sender_type"] != nil || o["sender_id"] != nil {
		t.Errorf("an activity is %v", o)
	}
	members(t, "a message of the client API", v.clientMessage(ch, sampleReply(), samplePerson()), "id, content, message_type, content_type, content_attributes, created_at, conversation_id, sender")
	filed := sampleReply()
	filed.Files = []domain.PostFile{{ID: 1, Kind: "file", Name: "a.PDF"}}
	o = members(t, "a file of the client API", v.clientMessage(ch, filed, samplePerson()), "id, content, message_type, content_type, content_attributes, created_at, conversation_id, sender, attachments")
	members(t, "a file", o["attachments"].([]any)[0], "id, message_id, account_id, file_type, extension, content_type, data_url, thumb_url, file_size, width, height")
}

// Ensure a conversation of the application API has what belongs to it where it is
// set, and times in the form of each member.
func TestView_Conversation(t *testing.T) {
	t.Parallel()
	v := sampleView(4)
	bare := domain.TicketSeen{Ticket: sampleTicket(), Person: samplePerson(), Identity: sampleIdentity()}
	bare.Assignee, bare.FirstReplyAt = 0, nil
	o := members(t, "a bare conversation", v.conversation(bare), conversationMembers)
	meta := members(t, "its meta", o["meta"], "sender, channel, hmac_verified")
	members(t, "its sender", meta["sender"], "additional_attributes, availability_status, email, id, name, phone_number, blocked, identifier, thumbnail, custom_attributes, created_at")
	for name, want := range map[string]any{
		"messages": []any{}, "labels": []any{}, "custom_attributes": map[string]any{}, "additional_attributes": map[string]any{},
		"last_non_activity_message": nil, "priority": nil, "snoozed_until": nil, "first_reply_created_at": 0.0, "waiting_since": 0.0,
		"agent_last_seen_at": 0.0, "assignee_last_seen_at": 0.0, "contact_last_seen_at": 0.0, "created_at": 1765000100.0, "updated_at": 1765000140.233,
		"timestamp": 1765000140.0, "can_reply": true, "muted": false, "id": 12.0, "account_id": 1.0, "inbox_id": 3.0,
	} {
		if !reflect.DeepEqual(o[name], want) {
			t.Errorf("%s is %v, want %v", name, o[name], want)
		}
	}

	at := sampleTime("2025-12-06T06:00:00.5Z")
	full := domain.TicketSeen{Ticket: sampleTicket(), Person: samplePerson(), Identity: sampleIdentity(), Post: new(sampleReply()), Said: new(sampleReply())}
	full.Team, full.SnoozedUntil, full.WaitingSince, full.AgentSeenAt, full.Labels, full.Priority = 2, &at, &at, &at, []string{"vip"}, "high"
	full.LastIncomingAt = &at
	full.Person.Blocked, full.UpdatedAt = true, sampleTime("2025-12-06T05:49:00.007Z")
	o = members(t, "a full conversation", v.conversation(full), conversationMembers)
	meta = members(t, "its meta", o["meta"], "sender, channel, hmac_verified, assignee, assignee_type, team")
	if sender := meta["sender"].(map[string]any); sender["last_activity_at"] != 1765000800.0 {
		t.Errorf("its contact is %v", sender)
	}
	same(t, "its assignee", meta["assignee"], `{"id":4,"account_id":1,"availability_status":"online","auto_offline":true,"confirmed":true,"email":"rui@example.test","provider":"email","available_name":"Rui Costa","name":"Rui Costa","role":"administrator","thumbnail":""}`)
	same(t, "its team", meta["team"], `{"id":2,"name":"billing","description":"","allow_auto_assign":true,"account_id":1,"is_member":false}`)
	same(t, "its message", o["messages"], `[`+samplePushMessage+`]`)
	same(t, "what was said", o["last_non_activity_message"], samplePushMessage)
	for name, want := range map[string]any{
		"snoozed_until": "2025-12-06T06:00:00.500Z", "waiting_since": 1765000800.0, "agent_last_seen_at": 1765000800.0, "muted": true,
		"first_reply_created_at": 1765000140.0, "priority": "high", "labels": []any{"vip"}, "updated_at": 1765000140.007,
	} {
		if !reflect.DeepEqual(o[name], want) {
			t.Errorf("%s is %v, want %v", name, o[name], want)
		}
	}

	full.Assignee = 9 // nobody any more
	full.Team = 9
	o = members(t, "a conversation of nobody", v.conversation(full), conversationMembers)
	members(t, "its meta", o["meta"], "sender, channel, hmac_verified")
	for _, o := range []domain.Operator{domain.OperatorOfToken(domain.Token{ID: "t2", Account: domain.DefaultAccount, Name: "the bridge"})} {
		full.Assignee = o.ID
		meta := asJSON(t, v.conversation(full)).(map[string]any)["meta"].(map[string]any)
		if a, _ := meta["assignee"].(map[string]any); a["name"] != "the bridge" || a["role"] != "agent" || a["availability_status"] != "offline" {
			t.Errorf("a program's conversation has %v", meta)
		}
	}
}

// Ensure the client API shows a conversation without notes and activities.
func TestView_ClientConversation(t *testing.T) {
	t.Parallel()
	v := sampleView(4)
	note, activity := sampleReply(), sampleReply()
	note.Private, activity.Type = true, domain.PostActivity
	seen := domain.TicketSeen{Ticket: sampleTicket(), Person: samplePerson(), Identity: sampleIdentity()}
	o := members(t, "a conversation of the client API", v.clientConversation(seen, []domain.Post{note, sampleReply(), activity}, domain.PersonSeen{Person: samplePerson()}),
		"id, uuid, inbox_id, status, contact_last_seen_at, agent_last_seen_at, messages, contact")
	members(t, "its contact", o["contact"], rawMembers)
	if list := o["messages"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != 502.0 || o["contact_last_seen_at"] != 0.0 {
		t.Errorf("a conversation of the client API is %v", o)
	}
	o = asJSON(t, v.clientConversation(seen, nil, domain.PersonSeen{})).(map[string]any)
	if !reflect.DeepEqual(o["messages"], []any{}) {
		t.Errorf("an empty one has messages %v", o["messages"])
	}
}
