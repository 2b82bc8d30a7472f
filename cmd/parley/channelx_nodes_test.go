package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// onNode gives the office as another node has it.
func (o *cxOffice) onNode(t *testing.T, n *process) *cxOffice {
	t.Helper()
	there := *o
	there.suite = &cx{parley: n.at(t), client: o.suite.client}
	eventually(t, knownWithin, "the office on the other node", func() bool {
		return there.public(t, http.MethodGet, "", nil).status == http.StatusOK &&
			there.call(t, http.MethodGet, "/api/v1/profile", nil).status == http.StatusOK
	})
	return &there
}

// at gives the conversation as another node has it.
func (v *cxTalk) at(o *cxOffice) *cxTalk {
	c := *v.contact
	c.office = o
	return &cxTalk{contact: &c, office: o, id: v.id}
}

// TestChannelXNodes: two nodes on one log and one database. What is written on one
// is read on the other at once; what one appends reaches the sockets of the other;
// both number conversations without a gap, and neither takes what the other has.
func TestChannelXNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterBrokers(t))
	a, b := c.two("PARLEY_FILES_DIR="+t.TempDir(), cxUnlimited)
	c.shared()
	s := cxOf(t, a.at(t))
	here := s.office(t)
	there := here.onNode(t, b)

	cxAtOnce(t, here, there)
	cxSockets(t, here, there)
	cxNumbers(t, s.office(t), b)
	cxBridgesOfBoth(t, s.office(t), b)
	c.stop()
}

// cxBridgesOfBoth lets bridges of both nodes look for the same customers.
func cxBridgesOfBoth(t *testing.T, here *cxOffice, b *process) { //nolint:thelper // a test
	all := here.bridges(8)
	for i, bridge := range here.onNode(t, b).bridges(8) {
		bridge.n, bridge.phone = i+8, all[i].phone
		all = append(all, bridge)
	}
	var running sync.WaitGroup
	for _, bridge := range all {
		running.Go(func() { bridge.goesOn(t, func() bool { return true }) })
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, bridge := range all {
		bridge.told(t)
	}
	here.reads(t, "/contacts").at("meta", "count").is(4)
}

// cxAtOnce writes on one node and reads on the other, in turns.
func cxAtOnce(t *testing.T, here, there *cxOffice) { //nolint:thelper // a test
	for i := range 10 {
		writer, reader := here, there
		if i%2 == 1 {
			writer, reader = there, here
		}
		phone := fmt.Sprintf("+1444%07d", i)
		c := writer.contact(t, object{"name": "Ana Prado", "phone_number": phone})
		reader.reads(t, c.path("")).at("payload", "phone_number").is(phone)
		reader.reads(t, "/contacts/search?q="+escaped(phone)).at("payload", 0, "id").is(c.id)
		reader.clientReads(t, c.clientPath("")).at("id").is(c.id)
		got := reader.app(t, http.MethodPost, "/contacts", object{"name": "Bo", "phone_number": phone})
		cxRefused(t, got, http.StatusUnprocessableEntity).at("attributes").hasText("phone_number")
		v := c.talk(t)
		v.at(reader).office.reads(t, v.path("")).at("status").is("open")
		id := v.at(reader).hears(t, "written there")
		v.message(t, id).at("content").is("written there")
		v.patches(t, id, object{"status": "read"})
		v.at(reader).message(t, id).at("status").is("read")
		photo := v.post(t, cxForm{}.field("content", "").file("a.png", "image/png", cxPNG)).at("id").integer()
		v.at(reader).message(t, photo).at("attachments", 0, "file_size").is(len(cxPNG))
		v.at(reader).turns(t, "resolved")
		writer.reads(t, v.path("")).at("status").is("resolved")
	}
}

// cxSockets listens on one node to what the other does.
func cxSockets(t *testing.T, here, there *cxOffice) { //nolint:thelper // a test
	v := here.visitor(t, object{"name": "Bo"}).chat(t)
	socket, operator := there.cable(t, v.at(there).contact), there.userCable(t)
	for i := range 5 {
		id := v.says(t, fmt.Sprint("message ", i))
		socket.event(t, "message.created", "id", id)
		operator.event(t, "message.created", "id", id)
	}
	cxEmpty(t, here.app(t, http.MethodPost, v.path("/toggle_typing_status"), object{"typing_status": "on"}))
	socket.event(t, "conversation.typing_on", "user.id", here.rui)
	v.turns(t, "resolved")
	socket.event(t, "conversation.status_changed", "status", "resolved")
	// Who listens on one node is there on the other.
	room := cxRoom(v.contact.pubsub(t))
	socket.sends(t, object{"command": "message", "identifier": room, "data": `{"action":"update_presence"}`})
	socket.await(t, "presence", func(int, cxFrame) bool { return socket.count("presence.update") >= 2 })
	eventually(t, knownWithin, "presence on the other node", func() bool {
		return here.reads(t, v.contact.path("")).at("payload", "availability_status").equals("online")
	})
	if n := socket.count("message.created"); n != 5 {
		t.Errorf("%d messages were told", n)
	}
}

// cxNumbers opens conversations on both nodes at once.
func cxNumbers(t *testing.T, here *cxOffice, b *process) { //nolint:thelper // a test
	there := here.onNode(t, b)
	c := here.ana(t)
	var mu sync.Mutex
	var numbers, ids []int64
	var running sync.WaitGroup
	for i := range 12 {
		o := here
		if i%2 == 1 {
			o = there
		}
		running.Go(func() {
			for range 5 {
				made := o.posts(t, "/conversations", object{"source_id": c.source, "message": object{"content": "hello", "message_type": "incoming"}})
				mu.Lock()
				numbers = append(numbers, made.at("id").integer())
				ids = append(ids, made.at("messages", 0, "id").integer())
				mu.Unlock()
			}
		})
	}
	running.Wait()
	cxConsecutive(t, numbers)
	seen := map[int64]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("message %d is there twice", id)
		}
		seen[id] = true
	}
	here.reads(t, "/conversations?status=all").at("data", "meta", "all_count").is(60)
}
