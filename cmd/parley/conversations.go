package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

type conversationsCommand struct {
	List     conversationsList     `cmd:"" help:"List conversations, the one with the newest message first."`
	Show     conversationsShow     `cmd:"" help:"Show a conversation."`
	Assign   conversationsAssign   `cmd:"" help:"Give a conversation to an agent, a queue or a bot, or to nobody."`
	Close    conversationsClose    `cmd:"" help:"Close a conversation."`
	Mark     conversationsMark     `cmd:"" help:"Note tags, a topic and data about an open conversation."`
	CloseAll conversationsCloseAll `cmd:"" help:"Close all open conversations of a channel."`
}

type conversationsList struct {
	listing

	Channel string `help:"Only of this channel." placeholder:"ID"`
	Contact string `help:"Only of this contact: its id, or the id that the integration uses." placeholder:"ID"`
	Status  string `help:"Only open or closed ones." enum:",open,closed" default:"" placeholder:"STATUS"`
	Handler string `help:"Only those that an agent, a queue or a bot has, or nobody: agent, queue, bot or unassigned." enum:",agent,queue,bot,unassigned" default:"" placeholder:"HANDLER"`
	Agent   string `help:"Only of this agent." placeholder:"ID"`
	Queue   string `help:"Only those that wait in this queue." placeholder:"N"`
	Tag     string `help:"Only those with this tag." placeholder:"N"`
	Search  string `help:"Part of the contact's name or id or of the last message." placeholder:"TEXT"`
}

// Run lists conversations.
func (c conversationsList) Run(ctx context.Context, s streams) error {
	filters := map[string]string{
		"channel": c.Channel, "contact": c.Contact, "status": c.Status, "handler": c.Handler, "agent": c.Agent,
		"queue": c.Queue, "tag": c.Tag, "q": c.Search,
	}
	return c.list(ctx, s, "/v1/conversations", filters, []column{
		{"ID", "id"}, {"STATUS", "status"}, {"HANDLER", "handler.type"}, {"AGENT", "handler.agent_id"}, {"QUEUE", "handler.queue_id"},
		{"CHANNEL", "channel_id"}, {"CONTACT", "contact_ref"}, {"MESSAGES", "message_count"}, {"LAST", "last_message.text"},
	})
}

type conversationID struct {
	ID string `arg:"" help:"Id of the conversation."`
}

func (c conversationID) path(more string) string {
	return "/v1/conversations/" + url.PathEscape(c.ID) + more
}

type conversationsShow struct {
	remote
	conversationID
}

// Run shows a conversation.
func (c conversationsShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type conversationsAssign struct {
	remote
	conversationID

	Agent      string       `help:"To this agent: number or username of a registered one, or what your contact centre calls them." xor:"to" placeholder:"ID"`
	Queue      int64        `help:"To this queue." xor:"to" placeholder:"N"`
	Function   int64        `help:"To this function." xor:"to" placeholder:"N"`
	Bot        bool         `help:"To a bot, where channels have no functions." xor:"to"`
	Unassigned bool         `help:"To nobody." xor:"to"`
	Skills     *skillLevels `help:"With --queue: who takes it needs these skills, at these levels at least, such as 3=5." placeholder:"SKILL=LEVEL,..."`
	Priority   *int         `help:"With --queue: from 0 to 10; the higher, the sooner." placeholder:"0-10"`
}

// Run assigns a conversation.
func (c conversationsAssign) Run(ctx context.Context, s streams) error {
	body := fields{}
	switch {
	case c.Agent != "":
		body["to"], body["agent_id"] = "agent", c.Agent
	case c.Queue != 0:
		body["to"], body["queue_id"] = "queue", c.Queue
	case c.Function != 0:
		body["to"], body["function_id"] = "bot", c.Function
	case c.Bot:
		body["to"] = "bot"
	case c.Unassigned:
		body["to"] = "unassigned"
	default:
		return errors.New("whom to? Give --agent, --queue, --function, --bot or --unassigned")
	}
	given(body, "skills", c.Skills)
	given(body, "priority", c.Priority)
	return c.print(ctx, s, http.MethodPost, c.path("/assign"), body)
}

type conversationsClose struct {
	remote
	conversationID

	Agent  string `help:"Number or username of the agent who closes it." placeholder:"N"`
	Reason string `help:"Why: agent, bot, timeout or unknown; agent unless given." enum:",agent,bot,timeout,unknown" default:"" placeholder:"REASON"`
}

// Run closes a conversation.
func (c conversationsClose) Run(ctx context.Context, s streams) error {
	body := fields{}
	body.text("agent_id", c.Agent)
	body.text("reason", c.Reason)
	return c.print(ctx, s, http.MethodPost, c.path("/close"), body)
}

type conversationsMark struct {
	remote
	conversationID

	Tags        *numbers          `help:"Numbers of tags to add, such as 5,8." placeholder:"N,..."`
	ReplaceTags bool              `help:"The tags are these from now on; with --tags none there are none."`
	Topic       *int64            `help:"Number of the topic; 0 takes it away." placeholder:"N"`
	Variable    map[string]string `help:"A variable that functions see, again for each." mapsep:"none" placeholder:"NAME=TEXT"`
	CustomData  map[string]string `help:"Data of any kind, as JSON, again for each." mapsep:"none" placeholder:"NAME=JSON"`
}

// Run marks a conversation.
func (c conversationsMark) Run(ctx context.Context, s streams) error {
	body := fields{}
	given(body, "tags", c.Tags)
	if c.ReplaceTags {
		body["replace_tags"] = true
	}
	given(body, "topic_id", c.Topic)
	if len(c.Variable) > 0 {
		body["variables"] = c.Variable
	}
	if len(c.CustomData) > 0 {
		body["custom_data"] = c.CustomData
	}
	return c.print(ctx, s, http.MethodPost, c.path("/marks"), body)
}

type conversationsCloseAll struct {
	remote

	Channel string `help:"Of this channel." required:"true" placeholder:"ID"`
	Reason  string `help:"Why: agent, bot, timeout or unknown; unknown unless given." enum:",agent,bot,timeout,unknown" default:"" placeholder:"REASON"`
}

// Run closes the conversations of a channel.
func (c conversationsCloseAll) Run(ctx context.Context, s streams) error {
	body := fields{"channel_id": c.Channel}
	body.text("reason", c.Reason)
	return c.print(ctx, s, http.MethodPost, "/v1/conversations/close", body)
}
