package channelx

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/parley-im/parley/domain"
)

// ids reads the ids of a list.
func ids(t *testing.T, list any) []int64 {
	t.Helper()
	out := []int64{}
	for i := range list.([]any) {
		id, _ := at(t, list, i, "id").(float64)
		out = append(out, int64(id))
	}
	return out
}

func TestAgentsAreThoseWhoCanAnswer(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.working = []int64{rui}
	list := o.gets(t, readersToken, http.MethodGet, "/agents", "")
	program := domain.OperatorOfToken(o.tokens[adminToken]).ID
	if got, want := ids(t, list), []int64{rui, bia, program}; !slices.Equal(got, want) {
		t.Fatalf("the agents are %v, want %v", got, want)
	}
	want := map[string]any{
		"id": 4.0, "account_id": 7.0, "availability_status": "online", "auto_offline": true, "confirmed": true, "email": "rui@example.com",
		"provider": "email", "available_name": "Rui Costa", "name": "Rui Costa", "role": "agent", "thumbnail": "",
	}
	if got := at(t, list, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("the first is %v, want %v", got, want)
	}
	if got := at(t, list, 2); at(t, got, "role") != "administrator" || at(t, got, "availability_status") != "offline" {
		t.Errorf("the program is %v", got)
	}
}

func TestTeams(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	list := o.gets(t, ruisToken, http.MethodGet, "/teams", "")
	want := map[string]any{"id": 2.0, "name": "billing", "description": "", "allow_auto_assign": true, "account_id": 7.0, "is_member": true}
	if !reflect.DeepEqual(at(t, list, 0), want) || at(t, list, 1, "is_member") != false {
		t.Errorf("%v", list)
	}
	if at(t, o.gets(t, adminToken, http.MethodGet, "/teams", ""), 0, "is_member") != false {
		t.Error("a program is in a team")
	}
}

func TestMembersOfAnInbox(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	program := domain.OperatorOfToken(o.tokens[adminToken]).ID
	members := func(want ...int64) {
		t.Helper()
		if got := ids(t, at(t, o.gets(t, adminToken, http.MethodGet, "/inbox_members/3", ""), "payload")); !slices.Equal(got, want) {
			t.Errorf("the members are %v, want %v", got, want)
		}
	}
	members(rui)
	o.gets(t, adminToken, http.MethodPost, "/inbox_members", `{"inbox_id":"3","user_ids":["5",4]}`)
	members(rui, bia)
	o.gets(t, biasToken, http.MethodGet, "/inboxes/3", "")
	answer := o.gets(t, adminToken, http.MethodPatch, "/inbox_members", `{"inbox_id":3,"user_ids":[`+strconv.FormatInt(program, 10)+`,5]}`)
	if got := ids(t, at(t, answer, "payload")); !slices.Equal(got, []int64{bia, program}) {
		t.Errorf("%v", answer)
	}
	members(bia, program)
	o.refuses(t, ruisToken, http.MethodGet, "/inboxes/3", "", http.StatusUnauthorized, noRight)
	o.refuses(t, adminToken, http.MethodDelete, "/inbox_members", `{"inbox_id":3,"user_ids":[5,99]}`, http.StatusOK, "")
	members(program)
	// A token that only reads can be a member, too, though it answers nobody.
	dashboard := domain.OperatorOfToken(o.tokens[readersToken]).ID
	o.gets(t, adminToken, http.MethodPost, "/inbox_members", `{"inbox_id":3,"user_ids":[`+strconv.FormatInt(dashboard, 10)+`]}`)
	o.gets(t, readersToken, http.MethodGet, "/inboxes/3", "")
	o.gets(t, adminToken, http.MethodPatch, "/inbox_members", `{"inbox_id":3,"user_ids":[]}`)
	members()

	for _, token := range []string{ruisToken, readersToken} {
		for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
			o.refuses(t, token, method, "/inbox_members", `{"inbox_id":3,"user_ids":[4]}`, http.StatusUnauthorized, noRight)
		}
		o.refuses(t, token, http.MethodGet, "/inbox_members/3", "", http.StatusUnauthorized, noRight)
	}
	o.refuses(t, adminToken, http.MethodPost, "/inbox_members", `{"inbox_id":3,"user_ids":[99]}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodPost, "/inbox_members", `{"inbox_id":99,"user_ids":[4]}`, http.StatusNotFound, `{"error":"Resource could not be found"}`)
	o.refuses(t, adminToken, http.MethodPost, "/inbox_members", `{"inbox_id":3}`, http.StatusUnprocessableEntity, `{"error":"param is missing or the value is empty or invalid: user_ids"}`)
	members()
}

func TestProfile(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.working = []int64{rui}
	me := o.gets(t, ruisToken, http.MethodGet, "/api/v1/profile", "")
	for name, want := range map[string]any{
		"id": 4.0, "name": "Rui Costa", "email": "rui@example.com", "uid": "rui@example.com", "access_token": ruisToken, "role": "agent",
		"account_id": 7.0, "pubsub_token": "socket of operator/acme/4", "confirmed": true, "ui_settings": map[string]any{}, "inviter_id": nil,
	} {
		if got := at(t, me, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	want := []any{map[string]any{
		"id": 7.0, "name": "Acme Support", "status": "active", "onboarding_step": nil, "active_at": nil, "role": "agent",
		"permissions": []any{"agent"}, "availability": "online", "availability_status": "online", "auto_offline": true,
	}}
	if got := at(t, me, "accounts"); !reflect.DeepEqual(got, want) {
		t.Errorf("the accounts are %v, want %v", got, want)
	}
	me = o.gets(t, adminToken, http.MethodGet, "/api/v1/profile/", "")
	if at(t, me, "accounts", 0, "role") != "administrator" || at(t, me, "name") != "the bridge" {
		t.Errorf("a program is %v", me)
	}
	o.refuses(t, "wrong", http.MethodGet, "/api/v1/profile", "", http.StatusUnauthorized, `{"error":"Invalid Access Token"}`)
	o.refuses(t, "", http.MethodGet, "/api/v1/profile", "", http.StatusUnauthorized, `{"errors":["You need to sign in or sign up before continuing."]}`)
}

func TestStatusTellsWhetherTheRowsAnswer(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.refuses(t, "", http.MethodGet, "/api", "", http.StatusOK,
		`{"version":"4.15.1","timestamp":"2026-01-01 12:00:00","queue_services":"ok","data_services":"ok"}`)
	o.stale = context.DeadlineExceeded
	if answer := o.gets(t, "", http.MethodGet, "/api/", ""); at(t, answer, "data_services") != "failing" {
		t.Errorf("%v", answer)
	}
}
