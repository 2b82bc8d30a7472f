package domain

import (
	"testing"
	"time"
)

func TestPostTurns(t *testing.T) {
	t.Parallel()
	why := "no route"
	for _, c := range []struct {
		from, to, want Status
		why            *string
		error          any
	}{
		{StatusSent, StatusDelivered, StatusDelivered, nil, nil},
		{StatusRead, StatusDelivered, StatusRead, nil, nil},
		{StatusRead, StatusSent, StatusSent, nil, nil},
		{StatusRead, StatusFailed, StatusFailed, &why, "no route"},
		{StatusSent, StatusFailed, StatusFailed, nil, nil},
		{StatusSent, StatusRead, StatusRead, &why, nil},
		{StatusSent, StatusQueued, StatusSent, nil, nil},
		{StatusSent, "bogus", StatusSent, nil, nil},
	} {
		p := Post{Status: c.from, Attributes: Object{"kept": true}}
		got := p.Turn(c.to, c.why)
		if got.Status != c.want || got.Attributes[ExternalError] != c.error || got.Attributes["kept"] != true || len(p.Attributes) != 1 {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	failed := Post{Status: StatusFailed, Attributes: Object{ExternalError: "500"}}
	if got := failed.Turn(StatusSent, nil); got.Attributes[ExternalError] != nil || failed.Attributes[ExternalError] != "500" || got.Failure() != nil {
		t.Errorf("no longer failed: %+v", got)
	}
	if got := failed.Turn(StatusFailed, nil); *got.Failure() != "" {
		t.Errorf("failed for no reason: %+v", got)
	}
	if got := failed.Retry(); got.Status != StatusSent || got.Attributes != nil {
		t.Errorf("retried: %+v", got)
	}
}

func TestPostTellsWhatChanged(t *testing.T) {
	t.Parallel()
	text := "hello"
	p := Post{Status: StatusSent, Content: &text, ContentType: "article", UpdatedAt: noon, Files: []PostFile{{ID: 1}}}
	same := text
	if q := p; !q.Same(p) {
		t.Error("it is not the same")
	} else if q.Content = &same; !q.Same(p) {
		t.Error("the same text is another")
	}
	gone := p.Delete().Next(noon.Add(time.Second))
	if got := names(gone.Since(p)); got != "content content_type content_attributes updated_at " || gone.Revision != 1 || *p.Content != "hello" {
		t.Errorf("deleted: %s", got)
	}
	if gone.Delete().Same(gone) != true || gone.Same(p) {
		t.Error("deleted twice is something else")
	}
	fileless := p
	fileless.Files = nil
	if fileless.Same(p) {
		t.Error("files make no difference")
	}
}
