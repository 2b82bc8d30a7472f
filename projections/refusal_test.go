package projections_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure that a refused signature is known from the newest outcome of a channel's
// callback, and forgotten with the next that is another.
func TestDeliveries_LastRefusal(t *testing.T) {
	t.Parallel()
	pool := database(t)
	p := projections.NewDeliveries(pool)
	chs, now := deskChannels(), time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var offset int
	tell := func(e domain.Event) domain.Recorded {
		t.Helper()
		r := at(offset, e)[0]
		applyDeliveries(t, pool, p, partition, []domain.Recorded{r})
		offset++
		now = now.Add(time.Second)
		return r
	}
	send := func(ch domain.Channel) domain.Delivery {
		t.Helper()
		d, ok := domain.DeliveryOf(tell(ch.SendAs(domain.BotSender(), "una", uuid.New(), domain.Content{Type: domain.ContentText, Text: "yes"}, "", now)), nil, false)
		if !ok {
			t.Fatal("no delivery")
		}
		return d
	}
	answer := func(d domain.Delivery, verdict domain.Verdict, status int) {
		t.Helper()
		tell(d.Attempted(domain.Outcome{Verdict: verdict, Reason: domain.ReasonRejected, HTTPStatus: status}, domain.DeliveryPolicy{}, 0, true, now, now))
	}
	refused := func(ch domain.Channel, want int) {
		t.Helper()
		when, status, ok, err := p.LastRefusal(t.Context(), ch.ID)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (want != 0) || status != want || (ok && when.After(now)) {
			t.Errorf("refused: %t with %d at %s, want %d", ok, status, when, want)
		}
	}
	refused(chs[0], 0)
	first, second := send(chs[0]), send(chs[0])
	refused(chs[0], 0)
	answer(first, domain.Refused, http.StatusUnauthorized)
	refused(chs[0], http.StatusUnauthorized)
	refused(chs[1], 0)
	answer(second, domain.Refused, http.StatusBadRequest)
	refused(chs[0], 0)
	third, fourth := send(chs[0]), send(chs[0])
	answer(fourth, domain.Refused, http.StatusForbidden)
	answer(third, domain.Retry, http.StatusServiceUnavailable)
	refused(chs[0], http.StatusForbidden)
	third.Attempts = 1
	answer(third, domain.Delivered, http.StatusOK) // made earlier, told later
	refused(chs[0], 0)

	// A function's answer says nothing of the callback.
	asked := tell(chs[1].Receive("una", "1", now, domain.Content{Type: domain.ContentText, Text: "hello"}, nil, now))
	called := p.Made(partition, asked.Position.Offset)
	if len(called) != 1 || called[0].Kind != domain.DeliverFunction {
		t.Fatalf("made %+v", called)
	}
	answer(called[0], domain.Refused, http.StatusUnauthorized)
	refused(chs[1], 0)

	list := func(kind domain.DeliveryKind) int {
		t.Helper()
		found, _, err := p.Deliveries(t.Context(), domain.DeliveryFilter{Account: "acme", Kind: kind}, domain.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			if d.Kind != kind {
				t.Errorf("a delivery of kind %s among those of kind %s", d.Kind, kind)
			}
		}
		return len(found)
	}
	if m, c, f := list(domain.DeliverMessage), list(domain.DeliverClose), list(domain.DeliverFunction); m != 4 || c != 0 || f != 1 {
		t.Errorf("%d messages, %d closes, %d calls", m, c, f)
	}
}
