package channelx

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// Commands of clients (channelx.md 7.1).
const (
	commandSubscribe   = "subscribe"
	commandUnsubscribe = "unsubscribe"
	commandMessage     = "message"
)

// actionPresence is the one action that a message command can ask for.
const actionPresence = "update_presence"

// Frames that are the same for everybody.
var (
	welcomeFrame    = []byte(`{"type":"welcome"}`)
	disconnectFrame = []byte(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
)

// pingFrame tells the time in seconds.
func pingFrame(now time.Time) []byte {
	return append(strconv.AppendInt([]byte(`{"type":"ping","message":`), now.Unix(), 10), '}')
}

// answerFrame answers a subscribe. identifier is the JSON of the text that named it.
func answerFrame(identifier []byte, kind frameKind) []byte {
	b := make([]byte, 0, len(identifier)+48)
	b = append(append(b, `{"identifier":`...), identifier...)
	return append(append(append(b, `,"type":"`...), kind...), `"}`...)
}

// appendTold appends the frame that tells a subscription something.
func appendTold(b, identifier, told []byte) []byte {
	b = append(append(b, `{"identifier":`...), identifier...)
	return append(append(append(b, `,"message":`...), told...), '}')
}

// cableCommand is what a client sends. Identifier is the JSON of a text, and is kept as
// it was sent: clients match on it.
type cableCommand struct {
	Command    string          `json:"command"`
	Identifier json.RawMessage `json:"identifier"`
	Data       json.RawMessage `json:"data"`
}

// readCommand reads a frame; false when it is none that names a subscription.
func readCommand(frame []byte) (cableCommand, bool) {
	var c cableCommand
	if err := json.Unmarshal(frame, &c); err != nil {
		return c, false
	}
	return c, len(c.Identifier) > 0 && c.Identifier[0] == '"'
}

// action is what a message command asks for. Its data is JSON text or the object
// itself.
func (c cableCommand) action() string {
	raw := []byte(c.Data)
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = []byte(text)
	}
	var data struct {
		Action string `json:"action"`
	}
	if json.Unmarshal(raw, &data) != nil {
		return ""
	}
	return data.Action
}

// sameText tells whether two JSON texts say the same.
func sameText(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var one, other string
	return json.Unmarshal(a, &one) == nil && json.Unmarshal(b, &other) == nil && one == other
}

// roomChannel is the one channel that there is to subscribe to.
const roomChannel = "RoomChannel"

// ticketOfEntry is what an identifier says: who listens, and the token that proves
// it (channelx.md 7.2).
type ticketOfEntry struct {
	token   string
	user    int64 // 0 = a contact
	account int64 // of a user
}

// readIdentifier reads the JSON of an identifier; false for one that nobody can
// subscribe with.
func readIdentifier(raw []byte) (ticketOfEntry, bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ticketOfEntry{}, false
	}
	var id struct {
		Channel string `json:"channel"`
		Token   string `json:"pubsub_token"`
		User    any    `json:"user_id"`
		Account any    `json:"account_id"`
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&id) != nil || id.Channel != roomChannel || len(id.Token) != domain.TokenLength {
		return ticketOfEntry{}, false
	}
	user, ok := wireID(id.User)
	if !ok {
		return ticketOfEntry{}, false
	}
	account, ok := wireID(id.Account)
	return ticketOfEntry{token: id.Token, user: user, account: account}, ok || user == 0
}

// wireID reads a number that may be a text, or blank, which is 0.
func wireID(v any) (int64, bool) {
	var text string
	switch v := v.(type) {
	case nil:
		return 0, true
	case string:
		text = strings.TrimSpace(v)
	case json.Number:
		text = v.String()
	default:
		return 0, false
	}
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0
}

// cableEvent is what a subscription is told of.
type cableEvent struct {
	Event string `json:"event"`
	Data  any    `json:"data"`
}
