package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// cxProtocols are what the standard client offers.
var cxProtocols = []string{"actioncable-v1-json", "actioncable-unsupported"}

// cxFrame is one frame that a socket got.
type cxFrame struct {
	at    time.Time
	raw   []byte
	kind  string  // of a frame of the protocol
	event string  // of an event
	data  cxValue // of an event
	body  cxValue
}

// cxSocket is a client of /cable.
type cxSocket struct {
	t        testing.TB
	conn     *websocket.Conn
	selected string // subprotocol

	mu      sync.Mutex
	frames  []cxFrame
	changed chan struct{} // closed at the next frame, and at the end
	ended   bool
}

// dial opens a socket that nothing is subscribed on.
func (s *cx) dial(t *testing.T, protocols ...string) *cxSocket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cxWait)
	defer cancel()
	address := "ws" + strings.TrimPrefix(s.parley.URL, "http") + "/cable"
	conn, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close() // nothing is in it once the protocol is switched
	}
	conn.SetReadLimit(1 << 20)
	c := &cxSocket{t: t, conn: conn, selected: conn.Subprotocol(), changed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		_ = conn.CloseNow() // it may have been closed by Parley
		<-done
	})
	return c
}

// read notes frames until the socket ends.
func (c *cxSocket) read() {
	for {
		kind, raw, err := c.conn.Read(context.Background())
		frame := cxFrame{at: time.Now(), raw: raw}
		if err == nil {
			if kind != websocket.MessageText || !json.Valid(raw) {
				c.t.Errorf("a frame that is no JSON: %q", raw)
				continue
			}
			frame.body = cxRead(c.t, "frame", raw)
			frame.kind, _ = frame.body.at("type").v.(string)
			frame.event, _ = frame.body.at("message", "event").v.(string)
			frame.data = frame.body.at("message", "data")
		}
		c.mu.Lock()
		if err == nil {
			c.frames = append(c.frames, frame)
		}
		c.ended = err != nil
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// sends writes a frame.
func (c *cxSocket) sends(t *testing.T, frame object) {
	t.Helper()
	text, err := json.Marshal(frame)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), cxWait)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, text); err != nil {
		t.Fatalf("send %s: %v", text, err)
	}
}

// got gives the frames up to now.
func (c *cxSocket) got() []cxFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]cxFrame(nil), c.frames...)
}

// await waits for a frame that is as wanted, and gives it with its place.
func (c *cxSocket) await(t *testing.T, what string, wanted func(i int, f cxFrame) bool) (int, cxFrame) {
	t.Helper()
	deadline := time.After(cxWait)
	for seen := 0; ; {
		c.mu.Lock()
		frames, changed, ended := c.frames, c.changed, c.ended
		c.mu.Unlock()
		for ; seen < len(frames); seen++ {
			if wanted(seen, frames[seen]) {
				return seen, frames[seen]
			}
		}
		late := false
		if !ended {
			select {
			case <-changed:
			case <-deadline:
				late = true
			}
		}
		if late || ended {
			for _, f := range frames {
				t.Logf("frame %s", f.raw)
			}
			t.Fatalf("no frame within %s, ended is %t: %s", cxWait, ended, what)
		}
	}
}

// kind waits for a frame of the protocol, and gives it with its place.
func (c *cxSocket) kind(t *testing.T, kind string) (int, cxFrame) {
	t.Helper()
	return c.await(t, kind, func(_ int, f cxFrame) bool { return f.kind == kind })
}

// event waits for an event. pairs are names of members of its data and what they
// must be.
func (c *cxSocket) event(t *testing.T, name string, pairs ...any) cxFrame {
	t.Helper()
	_, f := c.await(t, fmt.Sprint(name, " with ", pairs), func(_ int, f cxFrame) bool { return f.event == name && f.data.has(pairs) })
	return f
}

// count counts the events up to now that are as wanted.
func (c *cxSocket) count(name string, pairs ...any) (n int) {
	for _, f := range c.got() {
		if f.event == name && f.data.has(pairs) {
			n++
		}
	}
	return n
}

// cxRoom is the identifier with which a contact listens.
func cxRoom(token string) string {
	return fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":"%s"}`, token)
}

// subscribes subscribes, and waits for the confirmation.
func (c *cxSocket) subscribes(t *testing.T, identifier string) {
	t.Helper()
	c.sends(t, object{"command": "subscribe", "identifier": identifier})
	c.await(t, "confirmation of "+identifier, func(_ int, f cxFrame) bool {
		return f.kind == "confirm_subscription" && f.body.at("identifier").equals(identifier)
	})
}

// pubsub gives the token with which a contact listens.
func (c *cxContact) pubsub(t *testing.T) string {
	t.Helper()
	return c.office.clientReads(t, c.clientPath("")).at("pubsub_token").text()
}

// cable opens a socket that listens for a contact.
func (o *cxOffice) cable(t *testing.T, c *cxContact) *cxSocket {
	t.Helper()
	socket := o.suite.dial(t, cxProtocols...)
	socket.subscribes(t, cxRoom(c.pubsub(t)))
	return socket
}

// userCable opens a socket that listens for the operator.
func (o *cxOffice) userCable(t *testing.T) *cxSocket {
	t.Helper()
	profile := o.gets(t, o.call(t, "GET", "/api/v1/profile", nil))
	socket := o.suite.dial(t, cxProtocols...)
	socket.subscribes(t, fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":"%s","account_id":%d,"user_id":%d}`,
		profile.at("pubsub_token").text(), o.number, profile.at("id").integer()))
	return socket
}
