package channelx

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// Ensure that a client with the standard protocols, from any origin, is welcomed
// first and pinged in time, with whole seconds.
func TestCableWelcomesAndPings(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	l := s.dial(t, "actioncable-v1-json", "actioncable-unsupported")
	began := time.Now()
	if l.selected != "actioncable-v1-json" {
		t.Errorf("the protocol is %q", l.selected)
	}
	if plain := s.dial(t); plain.selected != "" {
		t.Errorf("a client that offers no protocol gets %q", plain.selected)
	}
	if other := s.dial(t, "actioncable-unsupported"); other.selected != "" {
		t.Errorf("a client that offers another protocol gets %q", other.selected)
	}
	f, before := l.take(t, "the first ping", typeIs("ping"))
	if took := time.Since(began); took > 3500*time.Millisecond {
		t.Errorf("the first ping came after %s", took)
	}
	if len(before) != 1 || before[0].Raw != `{"type":"welcome"}` {
		t.Errorf("before the ping came %v", before)
	}
	var at int64
	if err := json.Unmarshal(f.Message, &at); err != nil || at < began.Unix() || at > began.Unix()+5 {
		t.Errorf("the ping is %s", f.Raw)
	}
}

// Ensure that an identifier is confirmed as it was sent, whatever the order of its
// members, and that asking again does not double what is told.
func TestCableConfirms(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	token := s.SocketToken(identityOwner(anas))
	l := s.dial(t)
	for _, identifier := range []string{
		fmt.Sprintf(`"{\"channel\":\"RoomChannel\",\"pubsub_token\":\"%s\"}"`, token),
		fmt.Sprintf(`"{\"account_id\":7,\"extra\":[1],\"pubsub_token\":\"%s\",\"channel\":\"RoomChannel\"}"`, token),
		fmt.Sprintf(`"{\"pubsub_token\":\"%s\", \"user_id\":null, \"channel\":\"RoomChannel\", \"x\":\"\/\u003c\u00e9é\"}"`, token),
		fmt.Sprintf(`"{\"user_id\":\"\",\"channel\":\"RoomChannel\",\"pubsub_token\":\"%s\",\"y\":\"\\ud800\"}"`, token),
	} {
		for range 3 {
			l.sends(t, fmt.Sprintf(`{"command":"subscribe","identifier":%s}`, identifier))
			f, _ := l.take(t, "the confirmation", typeIs("confirm_subscription"))
			if string(f.Identifier) != identifier {
				t.Errorf("%s was confirmed as %s", identifier, f.Identifier)
			}
		}
	}
	if n := s.counted(t, "parley_channelx_subscriptions", ""); n != 4 {
		t.Errorf("there are %v subscriptions", n)
	}
	s.log.append(newTalk(1, identity(anas, anasID)).replies(501, "It ships today."))
	got := map[string]int{}
	for range 4 {
		f, _ := l.take(t, "the message", eventIs("message.created"))
		got[string(f.Identifier)]++
	}
	if len(got) != 4 {
		t.Errorf("the message came %v", got)
	}
}

// Ensure that what nobody may listen to is rejected, and that the socket goes on.
func TestCableRejects(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	l := s.dial(t)
	bias := s.SocketToken(operatorOwner(officeAccount, bia))
	for _, identifier := range []string{
		`{"channel":"RoomChannel","pubsub_token":"aaaaaaaaaaaaaaaaaaaaaaaa"}`,
		`{"channel":"RoomChannel","pubsub_token":""}`,
		`{"channel":"RoomChannel"}`,
		`{"channel":"RoomChannel","pubsub_token":42}`,
		fmt.Sprintf(`{"channel":"OtherChannel","pubsub_token":%q}`, s.SocketToken(identityOwner(anas))),
		`no JSON`, `[]`, ``,
		fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"account_id":7,"user_id":%d}`, bias, rui),                                     // another's token
		fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"account_id":8,"user_id":%d}`, bias, bia),                                     // another account
		fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"user_id":%d}`, bias, bia),                                                    // no account
		fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"account_id":7}`, bias),                                                       // a user's as a contact's
		fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"account_id":7,"user_id":-5}`, bias),                                          // no number of a user
		fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q,"account_id":7,"user_id":6}`, s.SocketToken(operatorOwner(officeAccount, 6))), // nobody
	} {
		l.commands(t, "subscribe", identifier)
		f, before := l.take(t, "the rejection of "+identifier, typeIs("reject_subscription"))
		var echoed string
		if err := json.Unmarshal(f.Identifier, &echoed); err != nil || echoed != identifier {
			t.Errorf("%q was rejected as %q", identifier, echoed)
		}
		for _, b := range before {
			if b.Type != "welcome" {
				t.Errorf("%s came before the rejection of %s", b.Raw, identifier)
			}
		}
	}
	l.subscribes(t, s.contactIdentifier(anas))
}

// Ensure that what is no command does nothing.
func TestCableIgnoresWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	l := s.dial(t)
	for _, frame := range []string{
		``, `{`, `[]`, `null`, `"x"`, `{}`, `{"command":"subscribe"}`, `{"command":"subscribe","identifier":7}`, `{"command":7,"identifier":"x"}`,
		`{"command":"dance","identifier":"x"}`, `{"command":"unsubscribe","identifier":"x"}`, `{"command":"message","identifier":"x","data":"{}"}`,
	} {
		l.sends(t, frame)
	}
	l.commands(t, "subscribe", s.contactIdentifier(anas))
	_, before := l.take(t, "the confirmation", typeIs("confirm_subscription"))
	if len(before) != 1 || before[0].Type != "welcome" {
		t.Errorf("before the confirmation came %v", before)
	}
	l.take(t, "who is there", eventIs("presence.update"))
	quoted, err := json.Marshal(s.contactIdentifier(anas))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{`"{\"action\":\"dance\"}"`, `{"action":7}`, `"x"`, `7`, `null`} {
		l.sends(t, fmt.Sprintf(`{"command":"message","identifier":%s,"data":%s}`, quoted, data))
	}
	l.sends(t, fmt.Sprintf(`{"command":"message","identifier":%s}`, quoted))
	s.log.append(newTalk(1, identity(anas, anasID)).replies(501, "hi"))
	if _, before = l.take(t, "the message", eventIs("message.created")); len(before) != 0 {
		t.Errorf("before the message came %v", before)
	}
}

// Ensure that who has unsubscribed is told nothing more, and can subscribe again.
func TestCableUnsubscribes(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	ana := newTalk(1, identity(anas, anasID))
	l := s.dial(t).subscribes(t, s.contactIdentifier(anas)).subscribes(t, s.contactIdentifier(bos))
	s.log.append(ana.replies(501, "one"))
	l.take(t, "the message", eventIs("message.created"))
	l.commands(t, "unsubscribe", s.contactIdentifier(anas))
	l.subscribes(t, s.userIdentifier(rui)) // by then it has been unsubscribed
	s.log.append(ana.replies(502, "two"))
	f, before := l.take(t, "the message to Rui", eventIs("message.created"))
	if !strings.Contains(string(f.Identifier), "user_id") || len(before) != 0 {
		t.Errorf("%s came, and before it %v", f.Raw, before)
	}
	l.subscribes(t, s.contactIdentifier(anas))
	s.log.append(ana.replies(503, "three"))
	l.take(t, "the message", func(f wireFrame) bool {
		return f.Event == "message.created" && !strings.Contains(string(f.Identifier), "user_id")
	})
}

// Ensure that a socket has so many subscriptions and no more, and that one that
// ends makes room.
func TestCableBoundsSubscriptions(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	l := s.dial(t)
	numbered := func(n int) string {
		return strings.Replace(s.contactIdentifier(anas), "{", fmt.Sprintf(`{"n":%d,`, n), 1)
	}
	for n := range maxSubscriptions {
		l.subscribes(t, numbered(n))
	}
	l.commands(t, "subscribe", numbered(maxSubscriptions))
	l.take(t, "the rejection", typeIs("reject_subscription"))
	l.commands(t, "unsubscribe", numbered(7))
	l.subscribes(t, numbered(maxSubscriptions))
}

// Ensure that a node takes so many sockets, and so many of one address, and that
// one that goes makes room.
func TestCableBoundsSockets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change studioConfig
		reason string
		status string
	}{
		{func(s *Sockets) { s.Most = 3 }, "node", "503"},
		{func(s *Sockets) { s.PerAddress = 3 }, "address", "429"},
	} {
		s := newStudio(t, newFakeLog(), c.change)
		first := s.dial(t)
		s.dial(t)
		s.dial(t)
		if _, err := s.tryDial(t); err == nil || !strings.Contains(err.Error(), c.status) {
			t.Errorf("a socket too many was answered %v, want %s", err, c.status)
		}
		if n := s.counted(t, "parley_channelx_cut_total", c.reason); n != 1 {
			t.Errorf("%v sockets were refused for the %s", n, c.reason)
		}
		first.conn.Close(websocket.StatusNormalClosure, "")
		for timeout := time.After(cablePatience); ; {
			if _, err := s.tryDial(t); err == nil {
				break
			}
			select {
			case <-timeout:
				t.Fatal("a socket that went makes no room")
			default:
			}
		}
		if n := s.counted(t, "parley_channelx_sockets", ""); n != 3 {
			t.Errorf("there are %v sockets", n)
		}
	}
}

// Ensure that a client that sends what is too large, or no text, is cut with a
// code that says so.
func TestCableCutsBadFrames(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	for _, c := range []struct {
		kind  websocket.MessageType
		frame string
		code  websocket.StatusCode
	}{
		{websocket.MessageText, `{"command":"subscribe","identifier":"` + strings.Repeat("x", maxCommand) + `"}`, websocket.StatusMessageTooBig},
		{websocket.MessageBinary, `{"command":"subscribe","identifier":"x"}`, websocket.StatusInvalidFramePayloadData},
		{websocket.MessageText, "{\"command\":\"subscribe\",\"identifier\":\"\xff\"}", websocket.StatusInvalidFramePayloadData},
	} {
		l := s.dial(t)
		if err := l.conn.Write(t.Context(), c.kind, []byte(c.frame)); err != nil {
			t.Fatal(err)
		}
		if code := websocket.CloseStatus(l.ends(t)); code != c.code {
			t.Errorf("the socket ended with %v, want %v", code, c.code)
		}
	}
	// The client hears of it before it is counted.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(cablePatience); s.counted(t, "parley_channelx_cut_total", "frame") != 3; {
		select {
		case <-timeout:
			t.Fatalf("%v sockets were cut", s.counted(t, "parley_channelx_cut_total", "frame"))
		case <-tick.C:
		}
	}
}

// Ensure that a request that is no handshake is answered as such.
func TestCableNeedsAHandshake(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	res, err := http.Get(s.server.URL + "/cable/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("it was answered %d", res.StatusCode)
	}
	s.dial(t).subscribes(t, s.contactIdentifier(anas))
}

// Ensure that at the end every client is asked to connect elsewhere, that its
// socket ends in order, and that no new one is taken.
func TestCableStops(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	var all []*listener
	for range 20 {
		all = append(all, s.dial(t).subscribes(t, s.contactIdentifier(anas)))
	}
	s.log.append(newTalk(1, identity(anas, anasID)).replies(501, "the last"))
	for _, l := range all {
		l.take(t, "the message", eventIs("message.created"))
	}
	s.door.Stop(t.Context())
	for _, l := range all {
		f, _ := l.take(t, "the disconnect", typeIs("disconnect"))
		if f.Raw != `{"type":"disconnect","reason":"server_restart","reconnect":true}` {
			t.Errorf("the client was told %s", f.Raw)
		}
		if code := websocket.CloseStatus(l.ends(t)); code != websocket.StatusGoingAway {
			t.Errorf("the socket ended with %v", code)
		}
	}
	if _, err := s.tryDial(t); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a socket was answered %v", err)
	}
	if n := s.counted(t, "parley_channelx_sockets", ""); n != 0 {
		t.Errorf("%v sockets are left", n)
	}
	if n := s.counted(t, "parley_channelx_subscriptions", ""); n != 0 {
		t.Errorf("%v subscriptions are left", n)
	}
	s.door.Stop(t.Context()) // once more does nothing
}

// Ensure that a stop does not wait for clients that do not take leave.
func TestCableStopsWithoutTheirLeave(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	for range 3 {
		deaf(t, s)
	}
	began := time.Now()
	s.stop(t)
	if took := time.Since(began); took > closeWithin+5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// deaf opens a socket whose client reads nothing.
func deaf(t *testing.T, s *studio) *websocket.Conn {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.server.URL, "http")+"/cable", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		res.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// Ensure that a client that does not read is cut, at what may wait for it or at
// the time that a write may take, and that others do not notice.
func TestCableCutsSlowReaders(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	slow := deaf(t, s)
	quoted, err := json.Marshal(s.contactIdentifier(anas))
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"command":"subscribe","identifier":%s}`, quoted)); err != nil {
		t.Fatal(err)
	}
	quick := s.dial(t).subscribes(t, s.contactIdentifier(anas))
	ana, text := newTalk(1, identity(anas, anasID)), strings.Repeat("x", 100_000)
	for id, timeout := int64(1), time.After(cablePatience); s.counted(t, "parley_channelx_cut_total", "slow") == 0; id++ {
		s.log.append(ana.replies(id, text))
		quick.take(t, "the message", func(f wireFrame) bool { return f.Event == "message.created" && f.Data["id"] == float64(id) })
		select {
		case <-timeout:
			t.Fatal("the slow reader is not cut")
		default:
		}
	}
	s.log.append(ana.replies(1_000_000, "after"))
	quick.take(t, "a message after that", func(f wireFrame) bool { return f.Data["id"] == float64(1_000_000) })
	for timeout := time.After(cablePatience); s.counted(t, "parley_channelx_sockets", "") != 1; {
		select {
		case <-timeout:
			t.Fatal("the slow socket does not go")
		default:
		}
	}
}

// Ensure that a thousand sockets are told of an event, all of them once.
func TestCableFansOut(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	const sockets = 1000
	all := make([]*listener, sockets)
	var dialling sync.WaitGroup
	for w := range 20 {
		dialling.Go(func() {
			for i := w; i < sockets; i += 20 {
				identifier := s.contactIdentifier(anas)
				if i%10 == 0 {
					identifier = s.userIdentifier(rui)
				}
				l, err := s.tryDial(t)
				if err != nil {
					t.Error(err)
					return
				}
				l.commands(t, "subscribe", identifier)
				all[i] = l
			}
		})
	}
	dialling.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, l := range all {
		l.take(t, "who is there", eventIs("presence.update"))
	}
	ana := newTalk(1, identity(anas, anasID))
	const events = 5
	for id := range int64(events) {
		s.log.append(ana.replies(id+1, "to all"))
	}
	for _, l := range all {
		for id := range int64(events) {
			f, before := l.take(t, "the message", eventIs("message.created"))
			if f.Data["id"] != float64(id+1) || len(before) != 0 {
				t.Fatalf("message %v came instead of %d, after %v", f.Data["id"], id+1, before)
			}
		}
	}
}

// Ensure that two nodes show the same, each to its own sockets, and that one that
// stops takes nothing from the other.
func TestCablesShareALog(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	one, other := newStudio(t, log), newStudio(t, log)
	a, b := one.dial(t).subscribes(t, one.contactIdentifier(anas)), other.dial(t).subscribes(t, other.contactIdentifier(anas))
	ana := newTalk(1, identity(anas, anasID))
	log.append(ana.replies(501, "one"))
	a.take(t, "the message", eventIs("message.created"))
	b.take(t, "the message", eventIs("message.created"))
	one.stop(t)
	a.take(t, "the disconnect", typeIs("disconnect"))
	log.append(ana.replies(502, "two"))
	b.take(t, "the message", eventIs("message.created"))
	again := other.dial(t).subscribes(t, other.contactIdentifier(anas))
	log.append(ana.replies(503, "three"))
	for _, l := range []*listener{b, again} {
		if f, _ := l.take(t, "the message", eventIs("message.created")); f.Data["id"] != float64(503) {
			t.Errorf("%s came", f.Raw)
		}
	}
}

// Ensure that a client is neither confirmed nor rejected while its token cannot be
// looked up, and is asked to connect anew when that lasts.
func TestCableWithoutRows(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	away := domain.Errorf(domain.CodeUnavailable, "away")
	s.unreadable = []error{away}
	began := time.Now()
	l := s.dial(t).subscribes(t, s.contactIdentifier(anas))
	if time.Since(began) < lookupPause {
		t.Error("the rows were not tried again")
	}
	s.mu.Lock()
	s.unreadable = []error{away, away, away, away}
	s.mu.Unlock()
	l.commands(t, "subscribe", s.contactIdentifier(bos))
	_, before := l.take(t, "the disconnect", typeIs("disconnect"))
	for _, f := range before {
		t.Errorf("%s came before", f.Raw)
	}
	if code := websocket.CloseStatus(l.ends(t)); code != websocket.StatusGoingAway {
		t.Errorf("the socket ended with %v", code)
	}
}

// Ensure that sockets are not opened when it is not known where the log ends.
func TestCableNeedsTheLog(t *testing.T) {
	t.Parallel()
	log := newFakeLog()
	s := newStudio(t, log)
	log.away = domain.Errorf(domain.CodeUnavailable, "away")
	cable, err := newCable(Config{Directory: s, Now: time.Now, Registerer: prometheus.NewRegistry(), Sockets: &Sockets{Tail: log, Staff: s}}, s.door.cable.roll, s.door.abreast)
	if err != nil {
		t.Fatal(err)
	}
	if err := cable.start(t.Context()); domain.CodeOf(err) != domain.CodeUnavailable {
		t.Errorf("it was started: %v", err)
	}
	cable.stop(t.Context())
}
