package voximplant

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// talking adds a conversation, and gives the UUID that a function is told.
func (w *doorway) talking(t *testing.T, channel, ref string, change func(*domain.Conversation)) string {
	t.Helper()
	c := domain.Conversation{
		ID: domain.ConversationID(channel, ref), Account: w.channels[channel].Account, Channel: channel, ContactRef: ref, Status: domain.StatusOpen,
		State: &domain.Episode{Number: 1, Open: true, Handler: domain.HandlerBot, Function: 12, Inbound: uuid.New(), Handling: uuid.New()},
	}
	if change != nil {
		change(&c)
	}
	w.talks[c.ID] = c
	told, err := w.door.veil.hide(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return told.String()
}

func (w *doorway) late(told, body string) *httptest.ResponseRecorder {
	return w.do(http.MethodPost, "/api/v3/botService/sendResponse?conversation_uuid="+told, body, "Content-Type", "application/json")
}

// Ensure a later answer does what a prompt one does, and a repeat of it nothing new.
func TestRespond(t *testing.T) {
	t.Parallel()
	w := openDoor(t)
	told := w.talking(t, channelA, "u-20417", nil)
	const body = `{"text":"hi","payload":[{"type":"cmd","name":"transfer_to_queue","queue":{"queue_id":4}}],"variables":{"a":"b"}}`
	w.takenAs(t, w.late(told, body))
	want := `conversation.marked{"variables":{"a":"b"}} ` + saidHi + ` conversation.assigned{"queue":4,"to":"queue","wait_s":60}`
	if got := shown(w.events); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	first := w.events
	w.events = nil
	w.takenAs(t, w.late(strings.ToUpper(told), body))
	for i, e := range w.events {
		if e.ID != first[i].ID || e.Channel != channelA || e.ContactRef != "u-20417" {
			t.Errorf("%+v", e)
		}
	}
	w.events = nil
	w.takenAs(t, w.late(told, body+" "))
	if w.events[0].ID == first[0].ID {
		t.Error("another answer is taken for a repeat")
	}
	w.events = nil
	got := w.late(told, `{"text":null}`)
	if got.Code != http.StatusOK || got.Body.String() != taken || got.Header().Get("Parley-Position") != "" || len(w.events) != 0 {
		t.Errorf("%d %s, %d events", got.Code, got.Body, len(w.events))
	}
}

// Ensure a function that does not have the conversation any more may speak in it
// and no more.
func TestRespondLate(t *testing.T) {
	t.Parallel()
	for _, handler := range []domain.Handler{domain.HandlerAgent, domain.HandlerQueue, domain.HandlerUnassigned} {
		w := openDoor(t)
		told := w.talking(t, channelA, "u-1", func(c *domain.Conversation) { c.State.Handler = handler })
		w.takenAs(t, w.late(told, `{"text":"hi","payload":[{"type":"cmd","name":"finish_request"},{"type":"cmd","name":"transfer_to_user","user":{"user_id":31}}]}`))
		if got := shown(w.events); got != saidHi {
			t.Errorf("%s: %s", handler, got)
		}
	}
}

// Ensure what is unknown or done is not found, whatever UUID is guessed.
func TestRespondRefuses(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, w *doorway) string { t.Helper(); return w.talking(t, channelA, "u-1", nil) }
	for _, c := range []struct {
		name   string
		status int
		told   func(t *testing.T, w *doorway) string
		body   string
	}{
		{"no UUID", 400, func(*testing.T, *doorway) string { return "" }, `{}`},
		{"not a UUID", 404, func(*testing.T, *doorway) string { return "77" }, `{}`},
		{"unknown", 404, func(*testing.T, *doorway) string { return uuid.NewString() }, `{}`},
		{"our own id", 404, func(t *testing.T, w *doorway) string {
			t.Helper()
			open(t, w)
			return domain.ConversationID(channelA, "u-1").String()
		}, `{}`},
		{"our own id in the shape", 404, func(t *testing.T, w *doorway) string {
			t.Helper()
			open(t, w)
			return withVersion(domain.ConversationID(channelA, "u-1"), versionTold).String()
		}, `{}`},
		{"done", 404, func(t *testing.T, w *doorway) string {
			t.Helper()
			return w.talking(t, channelA, "u-1", func(c *domain.Conversation) { c.State.Open, c.Status = false, domain.StatusClosed })
		}, `{}`},
		{"no episodes", 404, func(t *testing.T, w *doorway) string {
			t.Helper()
			return w.talking(t, channelA, "u-1", func(c *domain.Conversation) { c.State = nil })
		}, `{}`},
		{"channel deleted", 404, func(t *testing.T, w *doorway) string {
			t.Helper()
			told := open(t, w)
			delete(w.channels, channelA)
			return told
		}, `{}`},
		{"channel disabled", 403, func(t *testing.T, w *doorway) string {
			t.Helper()
			told, ch := open(t, w), w.channels[channelA]
			ch.Disabled = true
			w.channels[channelA] = ch
			return told
		}, `{}`},
		{"key gone", 404, func(t *testing.T, w *doorway) string { t.Helper(); told := open(t, w); w.keys = nil; return told }, `{}`},
		{"not caught up", 503, func(t *testing.T, w *doorway) string { t.Helper(); w.stale = errors.New("behind"); return open(t, w) }, `{}`},
		{"no JSON", 400, open, `hi`},
		{"an array", 400, open, `[]`},
		{"no body", 400, open, ``},
		{"1 MiB and a byte", 413, open, strings.Repeat(" ", maxBody+1)},
		{"the log is away", 503, func(t *testing.T, w *doorway) string {
			t.Helper()
			w.fails = domain.Errorf(domain.CodeUnavailable, "away")
			return open(t, w)
		}, `{"text":"hi"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openDoor(t)
			got := w.late(c.told(t, w), c.body)
			refusedWith(t, got, c.status)
			if len(w.events) != 0 {
				t.Errorf("%d events", len(w.events))
			}
		})
	}
}
