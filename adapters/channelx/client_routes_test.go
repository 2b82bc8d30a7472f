package channelx

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// The hashes of two identifiers with the bridge's token (channelx.md 5.2).
const (
	anasHash = "02bae89a00c344ef2c160b04dfa13caaf11950648ec0f77a0b8f7bc2652ef5a1" // crm-48213
	juHash   = "c39c378314d579ae7098b36f535c09f5ad6848b624da6e967e00d38b0f47a220" // jürgen
)

// sourceOf makes a contact over the client API and gives what it is known by.
func (w *counter) sourceOf(t *testing.T, body string) string {
	t.Helper()
	return at(t, w.told(t, http.MethodPost, "/contacts", body), "source_id").(string)
}

// opened makes a conversation over the client API and gives its path below the
// inbox, and its number.
func (w *counter) opened(t *testing.T, source string) (path, id string) {
	t.Helper()
	id = number(t, at(t, w.told(t, http.MethodPost, "/contacts/"+source+"/conversations", ""), "id"))
	return "/contacts/" + source + "/conversations/" + id, id
}

// verified tells whether the identity of a source id is trusted.
func (w *counter) verified(t *testing.T, source string) bool {
	t.Helper()
	i, err := w.ledger.Identity(t.Context(), bridge, source)
	if err != nil {
		t.Fatal(err)
	}
	return i.Verified
}

// Ensure a front end's way through the client API gets what section 5 says.
func TestClientStory(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	inbox := w.told(t, http.MethodGet, "", "")
	if at(t, inbox, "identifier") != "wQ7hK2mXv9TzR4sYb8LcNd31" || at(t, inbox, "identity_validation_enabled") != false {
		t.Errorf("%v", inbox)
	}
	contact := w.told(t, http.MethodPost, "/contacts", "")
	if at(t, contact, "pubsub_token") == "" || at(t, contact, "name") == "" {
		t.Errorf("%v", contact)
	}
	known := w.told(t, http.MethodPost, "/contacts", `{"source_id":"device-1","name":"Bo"}`)
	again := w.told(t, http.MethodPost, "/contacts", `{"source_id":"device-1","name":"Ty"}`)
	if at(t, known, "id") != at(t, again, "id") || at(t, again, "name") != "Bo" {
		t.Errorf("%v, then %v", known, again)
	}
	path, id := w.opened(t, "device-1")
	message := w.told(t, http.MethodPost, path+"/messages", `{"content":"hi","echo_id":"e1","message_type":"outgoing","private":true}`)
	if at(t, message, "message_type") != 0.0 || number(t, at(t, message, "conversation_id")) != id || at(t, message, "sender", "type") != "contact" {
		t.Errorf("%v", message)
	}
	app := "/conversations/" + id
	w.gets(t, adminToken, http.MethodPost, app+"/messages", `{"content":"a note","private":true}`)
	answer := w.gets(t, adminToken, http.MethodPost, app+"/messages", `{"content":"Which?","content_type":"input_select","content_attributes":{"items":[{"title":"Yes","value":"y"}]}}`)
	if list := w.told(t, http.MethodGet, path+"/messages", ""); len(numbersIn(t, list)) != 2 || at(t, list, 0, "content") != "hi" {
		t.Errorf("the contact sees %v", list)
	}
	chosen := w.told(t, http.MethodPatch, path+"/messages/"+number(t, at(t, answer, "id")), `{"submitted_values":[{"title":"Yes","value":"y"}]}`)
	if at(t, chosen, "content_attributes", "submitted_values", 0, "title") != "Yes" {
		t.Errorf("%v", chosen)
	}
	if status, body := w.client(t, http.MethodPost, path+"/update_last_seen", ""); status != http.StatusOK || body != nil {
		t.Errorf("%d %v", status, body)
	}
	if list := w.gets(t, adminToken, http.MethodGet, app+"/messages?after=1", ""); at(t, list, "payload", 2, "status") != "read" {
		t.Errorf("after the contact has seen it: %v", list)
	}
	for _, body := range []string{`{"typing_status":"on"}`, `{"typing_status":"off"}`, `{"typing_status":"perhaps"}`, ""} {
		if status, answer := w.client(t, http.MethodPost, path+"/toggle_typing", body); status != http.StatusOK || answer != nil {
			t.Errorf("typing %s: %d %v", body, status, answer)
		}
	}
	for range 2 {
		if thread := w.told(t, http.MethodPost, path+"/toggle_status", ""); at(t, thread, "status") != "resolved" || at(t, thread, "contact", "name") != "Bo" {
			t.Errorf("%v", thread)
		}
	}
	threads := w.told(t, http.MethodGet, "/contacts/device-1/conversations", "")
	for _, m := range at(t, threads, 0, "messages").([]any) {
		if text, _ := at(t, m, "content").(string); text == "a note" || at(t, m, "message_type") == 2.0 {
			t.Errorf("the contact is shown %v", m)
		}
	}
}

// Ensure nobody without a proof gets in where one is asked for, and that a failed
// one makes nothing.
func TestClientProof(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	source := w.ana(t)
	before := len(w.ledger.log)
	w.denied(t, http.MethodPost, "/contacts", `{"identifier":"crm-48213","identifier_hash":"`+anasHash[:63]+`2"}`, http.StatusUnauthorized)
	w.denied(t, http.MethodPatch, "/contacts/"+source, `{"name":"Eve","identifier":"crm-48213","identifier_hash":"x"}`, http.StatusUnauthorized)
	// A proof of another identifier than the contact's.
	w.denied(t, http.MethodGet, "/contacts/"+source+"?identifier=j%C3%BCrgen&identifier_hash="+juHash, "", http.StatusUnauthorized)
	w.denied(t, http.MethodPost, "/contacts", `{"source_id":"`+source+`","identifier":"jürgen","identifier_hash":"`+juHash+`"}`, http.StatusUnauthorized)
	if len(w.ledger.log) != before {
		t.Errorf("%d events of failed proofs", len(w.ledger.log)-before)
	}
	made := w.told(t, http.MethodPost, "/contacts", `{"identifier":"crm-48213","identifier_hash":"`+anasHash+`"}`)
	again, _ := at(t, made, "source_id").(string)
	if at(t, made, "name") != "Ana Prado" || again == source || !w.verified(t, again) || w.verified(t, source) {
		t.Errorf("%v", made)
	}

	ch := w.channels[bridge]
	ch.Inbox.HMACMandatory = true
	w.channels[bridge] = ch
	w.denied(t, http.MethodPost, "/contacts", "", http.StatusUnauthorized)
	w.denied(t, http.MethodPost, "/contacts", `{"identifier":"crm-48213"}`, http.StatusUnauthorized)
	const blankHash = "3dfd590265fdd00a0e8831550ec3b9ff80d868dcbdac1e0b16fc7bddd3f23ffe"
	w.denied(t, http.MethodPost, "/contacts", `{"identifier":"","identifier_hash":"`+blankHash+`"}`, http.StatusUnauthorized)
	w.denied(t, http.MethodGet, "/contacts/"+source, "", http.StatusUnauthorized)
	w.told(t, http.MethodGet, "/contacts/"+source+"?identifier=crm-48213&identifier_hash="+anasHash, "")
	if !w.verified(t, source) {
		t.Error("a proof is not noted")
	}
	path := w.conversation(t, source)
	w.told(t, http.MethodGet, "/contacts/"+source+path, "") // conversations ask for no proof
	if shown := w.gets(t, adminToken, http.MethodGet, path, ""); at(t, shown, "meta", "hmac_verified") != true {
		t.Errorf("%v", shown)
	}
}

// Ensure a contact reads their own conversations, all of them once they have proved
// who they are, and no others.
func TestClientSees(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	source := w.ana(t)
	w.conversation(t, source) // 1, of Ana's first identity
	path, _ := w.opened(t, w.sourceOf(t, `{"name":"Bo"}`))
	w.gets(t, adminToken, http.MethodPost, "/conversations/1/messages", `{"content":"for Ana"}`)
	other := strings.TrimSuffix(path, "2") + "1"
	for _, to := range []struct{ method, path, body string }{
		{http.MethodGet, other, ""},
		{http.MethodGet, other + "/messages", ""},
		{http.MethodPost, other + "/messages", `{"content":"x"}`},
		{http.MethodPost, other + "/toggle_status", ""},
		{http.MethodPost, other + "/toggle_typing", `{"typing_status":"on"}`},
		{http.MethodPost, other + "/update_last_seen", ""},
		{http.MethodPatch, other + "/messages/1", `{"submitted_values":[]}`},
		{http.MethodGet, strings.TrimSuffix(path, "2") + "999", ""},
		{http.MethodGet, "/contacts/nobody", ""},
		{http.MethodGet, "/contacts/nobody/conversations", ""},
	} {
		w.denied(t, to.method, to.path, to.body, http.StatusNotFound)
	}

	// Somebody who says that they are Ana is her, and sees nothing of hers until it
	// is proven.
	claimed := w.sourceOf(t, `{"identifier":"crm-48213"}`)
	w.denied(t, http.MethodGet, "/contacts/"+claimed+"/conversations/1", "", http.StatusNotFound)
	if list := w.told(t, http.MethodGet, "/contacts/"+claimed+"/conversations", ""); len(numbersIn(t, list)) != 0 {
		t.Errorf("a claim shows %v", list)
	}
	w.told(t, http.MethodGet, "/contacts/"+claimed+"?identifier=crm-48213&identifier_hash="+anasHash, "")
	w.told(t, http.MethodGet, "/contacts/"+claimed+"/conversations/1", "")
	if list := w.told(t, http.MethodGet, "/contacts/"+claimed+"/conversations", ""); len(numbersIn(t, list)) != 1 {
		t.Errorf("the proven contact sees %v", list)
	}

	// Notes are not there for contacts, not even to be changed.
	note := w.gets(t, adminToken, http.MethodPost, "/conversations/1/messages", `{"content":"secret","private":true}`)
	w.denied(t, http.MethodPatch, "/contacts/"+claimed+"/conversations/1/messages/"+number(t, at(t, note, "id")), `{"submitted_values":[]}`, http.StatusNotFound)
}

// Ensure that what a contact submits is what a form has, and stays until something
// else is submitted.
func TestClientSubmits(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	w.told(t, http.MethodPost, "/contacts", `{"source_id":"device-1"}`)
	id := number(t, at(t, w.told(t, http.MethodPost, "/contacts/device-1/conversations", ""), "id"))
	asked := w.gets(t, adminToken, http.MethodPost, "/conversations/"+id+"/messages", `{"content":"How was it?"}`)
	path := "/contacts/device-1/conversations/" + id + "/messages/" + number(t, at(t, asked, "id"))
	body := `{"submitted_values":{"value":"y","deleted":true,"csat_survey_response":{"rating":5,"by":"me"}}}`
	want := map[string]any{"value": "y", "csat_survey_response": map[string]any{"rating": 5.0}}
	for _, body := range []string{body, "", `{}`, `{"content":"I never asked"}`, `{"submitted_values":"?"}`} {
		got := w.told(t, http.MethodPatch, path, body)
		if list := at(t, got, "content_attributes", "submitted_values"); !reflect.DeepEqual(list, []any{want}) || at(t, got, "content") != "How was it?" {
			t.Errorf("after %s: %v", body, got)
		}
	}
	if got := w.told(t, http.MethodPatch, path, `{"submitted_values":[]}`); !reflect.DeepEqual(at(t, got, "content_attributes", "submitted_values"), []any{}) {
		t.Errorf("nothing submitted: %v", got)
	}
}

// Ensure that nobody reads what another contact wrote because they said something
// of theirs, in whatever order it is said and proven.
func TestClientClaims(t *testing.T) {
	t.Parallel()
	// reads tells whether a source id sees a conversation, by itself or in a list.
	reads := func(t *testing.T, w *counter, source, id string) bool {
		t.Helper()
		status, _ := w.client(t, http.MethodGet, "/contacts/"+source+"/conversations/"+id, "")
		listed := slices.Contains(numbersIn(t, w.told(t, http.MethodGet, "/contacts/"+source+"/conversations", "")), id)
		return status == http.StatusOK || listed
	}
	const proof = `"identifier":"jürgen","identifier_hash":"` + juHash + `"`
	query := "?identifier=j%C3%BCrgen&identifier_hash=" + juHash
	for name, attack := range map[string]func(t *testing.T, w *counter) (attacker string){
		"a proof of one's own with her e-mail": func(t *testing.T, w *counter) string {
			t.Helper()
			return w.sourceOf(t, `{`+proof+`,"email":"cleo@example.com"}`)
		},
		"the same, then a look": func(t *testing.T, w *counter) string {
			t.Helper()
			source := w.sourceOf(t, `{`+proof+`,"email":"cleo@example.com"}`)
			w.client(t, http.MethodGet, "/contacts/"+source+query, "")
			return source
		},
		"her e-mail, then a proof of one's own": func(t *testing.T, w *counter) string {
			t.Helper()
			source := w.sourceOf(t, `{"email":"cleo@example.com"}`)
			w.client(t, http.MethodGet, "/contacts/"+source+query, "")
			return source
		},
		"a change to her e-mail by somebody proven": func(t *testing.T, w *counter) string {
			t.Helper()
			source := w.sourceOf(t, `{`+proof+`}`)
			w.client(t, http.MethodPatch, "/contacts/"+source, `{"email":"cleo@example.com"}`)
			return source
		},
		"a change to her e-mail, then a proof": func(t *testing.T, w *counter) string {
			t.Helper()
			source := w.sourceOf(t, `{"identifier":"jürgen"}`)
			w.client(t, http.MethodPatch, "/contacts/"+source, `{"email":"cleo@example.com"}`)
			w.client(t, http.MethodGet, "/contacts/"+source+query, "")
			return source
		},
		"nobody becomes her, then proves something": func(t *testing.T, w *counter) string {
			t.Helper()
			source := w.sourceOf(t, "")
			w.client(t, http.MethodPatch, "/contacts/"+source, `{"email":"cleo@example.com"}`)
			w.client(t, http.MethodGet, "/contacts/"+source+query, "")
			return source
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCounter(t)
			cleo := w.sourceOf(t, `{"email":"cleo@example.com"}`)
			_, id := w.opened(t, cleo)
			if attacker := attack(t, w); reads(t, w, attacker, id) {
				t.Error("somebody reads Cleo's conversation")
			}
			if !reads(t, w, cleo, id) {
				t.Error("Cleo does not read her own conversation")
			}
		})
	}

	t.Run("an e-mail that was taken before she came", func(t *testing.T) {
		t.Parallel()
		w := newCounter(t)
		squatter := w.sourceOf(t, `{`+proof+`,"email":"cleo@example.com"}`)
		if !w.verified(t, squatter) {
			t.Fatal("a proof is not noted")
		}
		_, id := w.opened(t, w.sourceOf(t, `{"email":"cleo@example.com"}`))
		if reads(t, w, squatter, id) {
			t.Error("somebody reads what came in under an e-mail that they had claimed")
		}
	})
}

// Ensure two contacts of whom one says what the other has become one, as the
// protocol has it, and that blank values change nothing.
func TestClientChanges(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	w.ana(t)
	source := w.sourceOf(t, `{"source_id":"device/1 @x","name":"Bo","custom_attributes":{"plan":"gold"}}`)
	path := "/contacts/device%2F1%20@x"
	changed := w.told(t, http.MethodPatch, path, `{"name":"","identifier":"new","phone_number":"+15550101","custom_attributes":{"tier":2}}`)
	if at(t, changed, "name") != "Bo" || at(t, changed, "identifier") != nil || at(t, changed, "phone_number") != "+15550101" ||
		at(t, changed, "custom_attributes", "plan") != "gold" || at(t, changed, "custom_attributes", "tier") != 2.0 ||
		at(t, changed, "source_id") != source || at(t, changed, "pubsub_token") == "" || at(t, changed, "contact_type") != "lead" {
		t.Errorf("%v", changed)
	}
	merged := w.told(t, http.MethodPut, path, `{"email":"ANA@example.com"}`)
	if at(t, merged, "identifier") != "crm-48213" || len(w.ledger.persons) != 1 {
		t.Errorf("%d people: %v", len(w.ledger.persons), merged)
	}
	w.denied(t, http.MethodPatch, path, `{"email":"no address"}`, http.StatusUnprocessableEntity)
}

// Ensure a trusted contact reads in another inbox, but writes only in the one of
// the path (channelx.md 10.3).
func TestClientWritesInItsInbox(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	source := w.ana(t)
	w.gets(t, adminToken, http.MethodPost, "/conversations", `{"inbox_id":4,"contact_id":1}`)
	w.told(t, http.MethodGet, "/contacts/"+source+"?identifier=crm-48213&identifier_hash="+anasHash, "")
	path := "/contacts/" + source + "/conversations/1"
	if shown := w.told(t, http.MethodGet, path, ""); at(t, shown, "inbox_id") != 4.0 {
		t.Errorf("%v", shown)
	}
	w.denied(t, http.MethodPost, path+"/messages", `{"content":"x"}`, http.StatusNotFound)
	w.denied(t, http.MethodGet, "/contacts/"+source+"/conversations/one", "", http.StatusNotFound)
}

// Ensure an idempotency key gives the first message again.
func TestClientKeys(t *testing.T) {
	t.Parallel()
	w := newCounter(t)
	path, _ := w.opened(t, w.sourceOf(t, ""))
	first := w.told(t, http.MethodPost, path+"/messages", `{"content":"a","client_message_id":"k1"}`)
	if again := w.told(t, http.MethodPost, path+"/messages", `{"content":"b","client_message_id":"k1"}`); at(t, again, "id") != at(t, first, "id") || at(t, again, "content") != "a" {
		t.Errorf("%v, then %v", first, again)
	}
	w.told(t, http.MethodPost, path+"/messages", `{"content":"a"}`)
	w.told(t, http.MethodPost, path+"/messages", `{"content":"a"}`)
	if list := w.told(t, http.MethodGet, path+"/messages", ""); len(numbersIn(t, list)) != 3 {
		t.Errorf("%v", list)
	}
	w.denied(t, http.MethodPost, path+"/messages", `{"content":"`+strings.Repeat("x", maxContent+1)+`"}`, http.StatusUnprocessableEntity)
}

// Ensure what is proven is what is said, and no more.
func TestProofProves(t *testing.T) {
	t.Parallel()
	sole := domain.Identity{ID: 1}
	for name, c := range map[string]struct {
		proof    proof
		identity domain.Identity
		person   domain.PersonSeen
		want     bool
	}{
		"nothing":             {proof{}, sole, domain.PersonSeen{Identities: []domain.Identity{sole}}, false},
		"the same":            {proof{"x"}, sole, domain.PersonSeen{Person: domain.Person{Identifier: "x"}}, true},
		"another one":         {proof{"x"}, sole, domain.PersonSeen{Person: domain.Person{Identifier: "y"}, Identities: []domain.Identity{sole}}, false},
		"of somebody new":     {proof{"x"}, sole, domain.PersonSeen{Identities: []domain.Identity{sole}}, true},
		"of one of several":   {proof{"x"}, sole, domain.PersonSeen{Identities: []domain.Identity{sole, {ID: 2}}}, false},
		"of a claim":          {proof{"x"}, domain.Identity{ID: 1, Claimed: true}, domain.PersonSeen{Identities: []domain.Identity{{ID: 1, Claimed: true}}}, false},
		"what is known":       {proof{"x"}, domain.Identity{ID: 1, Verified: true}, domain.PersonSeen{Person: domain.Person{Identifier: "x"}}, false},
		"a claim by its name": {proof{"x"}, domain.Identity{ID: 1, Claimed: true}, domain.PersonSeen{Person: domain.Person{Identifier: "x"}}, true},
	} {
		if got := c.proof.proves(c.identity, c.person); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
