package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// TestChannelXCrowd: 64 clients write into one conversation at once. Every message
// is there once, and the list, the callback and the socket have them in one order.
func TestChannelXCrowd(t *testing.T) {
	t.Parallel()
	const writers, each = 64, 3
	s := newCX(t)
	v := s.office(t).visitor(t, nil).chat(t)
	o := v.office
	socket := o.cable(t, v.contact)
	var mu sync.Mutex
	texts := map[int64]string{}
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := range each {
				text := fmt.Sprintf("writer %d says %d", w, i)
				var m cxValue
				if w%2 == 0 {
					m = v.post(t, object{"content": text})
				} else {
					m = o.clientPosts(t, v.clientPath("/messages"), object{"content": text})
				}
				m.at("content").is(text)
				mu.Lock()
				texts[m.at("id").integer()] = text
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if len(texts) != writers*each {
		t.Errorf("%d ids for %d messages", len(texts), writers*each)
	}
	var listed []int64
	for page := o.reads(t, v.path("/messages")).at("payload").list(); len(page) > 0; {
		ids := make([]int64, len(page))
		for i, m := range page {
			ids[i] = m.at("id").integer()
			m.at("content").is(texts[ids[i]])
		}
		listed = slices.Concat(ids, listed)
		page = o.reads(t, v.path(fmt.Sprintf("/messages?before=%d", ids[0]))).at("payload").list()
	}
	if len(listed) != writers*each || !slices.IsSorted(listed) {
		t.Errorf("%d messages are listed: %v", len(listed), listed)
	}
	var told, shown []int64
	for _, call := range v.fence(t) {
		if call.event == "message_created" {
			told = append(told, call.body.at("id").integer())
		}
	}
	if !slices.Equal(told, listed) {
		t.Errorf("the callback was told %v, listed are %v", told, listed)
	}
	socket.event(t, "message.created", "id", listed[len(listed)-1])
	for _, f := range socket.got() {
		if id := f.data.at("id"); f.event == "message.created" && texts[id.integer()] != "" {
			shown = append(shown, id.integer())
		}
	}
	if !slices.Equal(shown, listed) {
		t.Errorf("the socket was shown %v, listed are %v", shown, listed)
	}
	o.reads(t, v.path("")).at("unread_count").is(10)
}

// TestChannelXOnePhone: 64 clients make a contact of the same phone number at once.
// One does, and the others find it at once.
func TestChannelXOnePhone(t *testing.T) {
	t.Parallel()
	o := newCX(t).office(t)
	var mu sync.Mutex
	made, ids := 0, map[int64]bool{}
	var running sync.WaitGroup
	for range cxBridges {
		running.Go(func() {
			got := o.app(t, http.MethodPost, "/contacts", object{"inbox_id": o.inbox, "name": "Ana Prado", "phone_number": cxPhone, "identifier": cxCRM})
			if got.status != http.StatusOK {
				cxRefused(t, got, http.StatusUnprocessableEntity).at("attributes").hasText("phone_number")
			}
			id := o.reads(t, "/contacts/search?q=5511988887777").at("payload", 0, "id").integer()
			same := o.clientPosts(t, "/contacts", object{"phone_number": cxPhone}).at("id").integer()
			mu.Lock()
			defer mu.Unlock()
			ids[id], ids[same] = true, true
			if got.status == http.StatusOK {
				made++
			}
		})
	}
	running.Wait()
	if made != 1 || len(ids) != 1 {
		t.Errorf("made %d times: %v", made, ids)
	}
	list := o.reads(t, "/contacts")
	list.at("meta", "count").is(1)
	if n := len(list.at("payload", 0, "contact_inboxes").list()); n != cxBridges+1 {
		t.Errorf("%d contact inboxes", n)
	}
}
