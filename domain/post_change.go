package domain

import (
	"slices"
	"time"
)

// PostStatuses is the closed set of statuses of posts (channelx.md 3.1).
var PostStatuses = []Status{StatusSent, StatusDelivered, StatusRead, StatusFailed}

// DeletedContent is what a deleted post says (channelx.md 4.6).
const DeletedContent = "This message was deleted"

// Next is the post as its next revision.
func (p Post) Next(now time.Time) Post {
	p.Revision++
	p.UpdatedAt = Stamp(now)
	return p
}

// Turn is the post with a status that the integration tells; a status that is not
// known, and delivered after read, change nothing. Why a post failed is kept only
// while it has (channelx.md 4.6).
func (p Post) Turn(status Status, why *string) Post {
	if !slices.Contains(PostStatuses, status) || p.Status == StatusRead && status == StatusDelivered {
		return p
	}
	p.Status = status
	p.Attributes = p.Attributes.Without(ExternalError)
	if status == StatusFailed && why != nil {
		p.Attributes = p.Attributes.With(Object{ExternalError: *why})
	}
	return p
}

// Delete is the post without what it said. It stays in its place.
func (p Post) Delete() Post {
	text := DeletedContent
	p.Content, p.ContentType, p.Attributes, p.Files = &text, "text", Object{"deleted": true}, nil
	return p
}

// Retry is the post as it was before it failed.
func (p Post) Retry() Post {
	p.Status, p.Attributes = StatusSent, nil
	return p
}

// Same tells whether nothing that can change has.
func (p Post) Same(before Post) bool {
	return p.Since(before) == nil && len(p.Files) == len(before.Files)
}

// Since lists what is not what it was; nil when nothing is.
func (p Post) Since(before Post) []Change {
	var c changes
	c.text("status", string(before.Status), string(p.Status))
	c.add(!sameText(before.Content, p.Content), "content", optional(before.Content), optional(p.Content))
	c.text("content_type", before.ContentType, p.ContentType)
	c.object("content_attributes", before.Attributes, p.Attributes)
	return c.at(before.UpdatedAt, p.UpdatedAt)
}

func sameText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

func optional(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}
