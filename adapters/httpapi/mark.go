package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/parley-im/parley/domain"
)

// markInput is what is noted about a conversation.
type markInput struct {
	Tags        []int64           `json:"tags,omitempty" nullable:"false" maxItems:"100" doc:"Tags to be added. A voximplant channel must use tags; on channelx they are labels, by their names."`
	ReplaceTags bool              `json:"replace_tags,omitempty" doc:"tags are all tags from now on."`
	Topic       *int64            `json:"topic_id,omitempty" minimum:"0" doc:"A topic of the channel's topic set; 0 takes the topic away."`
	Variables   map[string]string `json:"variables,omitempty" doc:"Texts by name, which functions are told. At most 100 names and 64 KiB."`
	CustomData  map[string]string `json:"custom_data,omitempty" doc:"JSON texts by name. At most 100 names and 64 KiB."`
}

func (p *platform) markRoutes() {
	handle(p, operation{
		id: "mark-conversation", method: http.MethodPost, path: "/v1/conversations/{id}/marks", tag: tagConversations, need: domain.RoleAgent,
		summary: "Note tags, a topic or data about a conversation", status: http.StatusAccepted,
		description: "Only on channels of dialect voximplant, and while the conversation is open (409). It counts as activity. " +
			"On channels of dialect channelx tags can be noted, whatever the conversation's status.",
	}, p.markConversation)
}

func (p *platform) markConversation(ctx context.Context, c caller, in *struct {
	ConversationPath
	KeyParam
	Body markInput
},
) (*changedConversation, error) {
	b := in.Body
	if len(b.Tags) == 0 && !b.ReplaceTags && b.Topic == nil && len(b.Variables) == 0 && len(b.CustomData) == 0 {
		return nil, domain.Invalid("tags", "or something else must be there: the request notes nothing")
	}
	conversation, ch, err := p.conversationOf(ctx, c, in.ID, true)
	if err != nil {
		return nil, err
	}
	if ch.Dialect.HasTickets() {
		return p.markTicket(ctx, c, ch, conversation.ID, b)
	}
	if ch.Dialect.HasEpisodes() {
		if err := p.marksHold(ch, b); err != nil {
			return nil, err
		}
	}
	id, err := p.eventID(in.Key, "mark", c.Account, conversation.ID.String())
	if err != nil {
		return nil, err
	}
	e, err := conversation.Mark(ch, id, domain.Marks{
		Tags: b.Tags, ReplaceTags: b.ReplaceTags, Topic: b.Topic, Variables: b.Variables, Custom: b.CustomData,
	}, c.Name, p.Now())
	if err != nil {
		return nil, err
	}
	return p.decide(ctx, c, conversation, e)
}

// marksHold makes sure that the tags and the topic are there, and are possible on
// the channel.
func (p *platform) marksHold(ch domain.Channel, in markInput) error {
	if (len(in.Tags) > 0 || in.ReplaceTags) && !ch.Desk.UseTags {
		return unmet("tags", "are not used on this channel; see its setting use_tags")
	}
	for i, tag := range in.Tags {
		if _, ok := p.Directory.Tag(ch.Account, tag); !ok {
			return unmet(fmt.Sprintf("tags[%d]", i), "must be the id of a tag; there is no tag %d", tag)
		}
	}
	if in.Topic == nil || *in.Topic == 0 {
		return nil
	}
	set, ok := p.Directory.TopicSet(ch.Account, ch.Desk.TopicSet)
	if !ok {
		return unmet("topic_id", "is not possible on this channel: it has no topic set")
	}
	if !set.Has(*in.Topic) {
		return unmet("topic_id", "must be the id of a topic of the channel's topic set %d", set.Number)
	}
	return nil
}
