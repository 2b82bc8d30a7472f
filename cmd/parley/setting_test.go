package main

import (
	"encoding/json"
	"testing"

	"github.com/alecthomas/kong"
)

// TestFlagsBecomeJSON: what is typed is what the API is asked for, and what is
// not typed is not asked for.
func TestFlagsBecomeJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"queue"}, `{}`},
		{[]string{"queue", "--name=Sales", "--max-wait=5m", "--priority=1"}, `{"max_wait":300,"name":"Sales","priority":1}`},
		{[]string{"queue", "--max-wait=0"}, `{"max_wait":0}`},
		{[]string{"function", "--name=Hours", "--function-url=http://bot.example.com"}, `{"name":"Hours","url":"http://bot.example.com"}`},
		{[]string{"agent", "--username=petra", "--ready", "--queues=1, 2", "--skills=3=5,7=2"},
			`{"queues":[1,2],"ready":true,"skills":[{"skill_id":3,"level":5},{"skill_id":7,"level":2}],"username":"petra"}`},
		{[]string{"agent", "--no-ready", "--queues=none", "--skills=none"}, `{"queues":[],"ready":false,"skills":[]}`},
		{[]string{"topics", "--name=Shop", "--topic=Returns, refunds", "--topic=3=Delivery"},
			`{"name":"Shop","topics":[{"name":"Returns, refunds"},{"id":3,"name":"Delivery"}]}`},
		{[]string{"channel", "--queue=4", "--close-after=1h30m", "--no-use-tags", "--topic-set=0"},
			`{"close_after":5400,"redirect":{"queue_id":4},"topic_set_id":0,"use_tags":false}`},
		{[]string{"channel", "--function=12", "--fallback-queue=4", "--bot-close-after=600", "--security-salt=s:1", "--api-token=kt_1", "--save-anyway"},
			`{"api_token":"kt_1","bot_close_after":600,"fallback_queue_id":4,"redirect":{"function_id":12},"save_anyway":true,"security_salt":"s:1"}`},
		{[]string{"channel", "--no-redirect"}, `{"redirect":{}}`},
		{[]string{"channel", "--single-try", "--rate=0"}, `{"delivery":{"schedule":[]},"rate_per_second":0}`},
	} {
		var cli struct {
			Queue    struct{ queueSettings }    `cmd:""`
			Function struct{ functionSettings } `cmd:""`
			Agent    struct{ agentSettings }    `cmd:""`
			Topics   struct{ topicSetSettings } `cmd:""`
			Channel  struct{ channelSettings }  `cmd:""`
		}
		parser, err := kong.New(&cli)
		if err != nil {
			t.Fatal(err)
		}
		command, err := parser.Parse(c.args)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		body := map[string]interface{ body() fields }{
			"queue": cli.Queue, "function": cli.Function, "agent": cli.Agent, "topics": cli.Topics, "channel": cli.Channel,
		}[command.Command()].body()
		if raw, err := json.Marshal(body); err != nil || string(raw) != c.want {
			t.Errorf("%v: %s, want %s (%v)", c.args, raw, c.want, err)
		}
	}
}
