package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // inboxes have time zones, whatever the machine knows of them

	"github.com/alecthomas/kong"
)

// version is set when the binary is built.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is the command line. Every flag has an environment variable
// PARLEY_<FLAG>.
type commands struct {
	LogLevel  string `help:"Least level that is logged: debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
	LogFormat string `help:"Form of the log: text or json." default:"text" enum:"text,json"`

	Dev           devCommand                 `cmd:"" help:"Run everything in one process, with an embedded log and a private Postgres. For one machine."`
	Serve         serveCommand               `cmd:"" help:"Run one node of a cluster, on an external Kafka and Postgres."`
	Replay        replayCommand              `cmd:"" help:"Print events of the past as NDJSON."`
	Channels      channelsCommand            `cmd:"" help:"List, create, change, rotate, test and delete channels."`
	Conversations conversationsCommand       `cmd:"" help:"List, assign, mark and close conversations."`
	Deliveries    deliveriesCommand          `cmd:"" help:"List and inspect deliveries; redrive or drop dead letters."`
	Redrives      redrivesCommand            `cmd:"" help:"Redrive many dead letters at once: make, list, show, watch and cancel such jobs."`
	Endpoints     endpointsCommand           `cmd:"" help:"List and inspect the endpoints of deliveries; pause or resume them."`
	Subscriptions subscriptionsCommand       `cmd:"" help:"List, create, change, rotate, test and delete subscriptions to events."`
	Queues        numbered[queueSettings]    `cmd:"" help:"List, create, change and delete queues, in which conversations wait for agents."`
	Functions     numbered[functionSettings] `cmd:"" help:"List, create, change and delete functions, which answer instead of agents."`
	Agents        numbered[agentSettings]    `cmd:"" help:"List, create, change and delete agents."`
	Skills        numbered[skillSettings]    `cmd:"" help:"List, create, change and delete skills of agents."`
	Tags          numbered[tagSettings]      `cmd:"" help:"List, create, change and delete tags of conversations."`
	TopicSets     numbered[topicSetSettings] `cmd:"" help:"List, create, change and delete topic sets."`
	APITokens     apiTokensCommand           `cmd:"" name:"api-tokens" help:"List, create, show and revoke API tokens, with which integrations of Voximplant Kit log in."`
	Tokens        tokensCommand              `cmd:"" help:"List, create and revoke tokens of the platform API."`
	Accounts      accountsCommand            `cmd:"" help:"List, create and change accounts."`
	Keys          keysCommand                `cmd:"" help:"List and rotate the installation's own keys."`
	Projections   projectionsCommand         `cmd:"" help:"Show how far the read models are; decide about quarantined records."`
	Version       versionCommand             `cmd:"" help:"Print the version."`
	Help          helpCommand                `cmd:"" hidden:"" help:"Print help."`
}

// streams is where a command writes.
type streams struct {
	out, err io.Writer
}

type versionCommand struct{}

// userAgent names this program to callbacks.
func userAgent() string { return "Parley/" + version }

// Run prints the version.
func (versionCommand) Run(s streams) error {
	_, err := fmt.Fprintln(s.out, "parley", version)
	return err
}

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command to explain."`
}

// exitRequest carries an exit code out of kong's parser, which would like to end
// the process itself.
type exitRequest int

// run is the program: it parses args, runs the command and gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return new(commands).run(ctx, args, stdout, stderr)
}

func (c *commands) run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	if len(args) > 0 && args[0] == "help" { // "parley help dev" is "parley dev --help"
		args = append(append([]string{}, args[1:]...), "--help")
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	defer func() {
		if exit, ok := recover().(exitRequest); ok {
			code = int(exit)
		}
	}()
	parser, err := kong.New(c,
		kong.Name("parley"),
		kong.Description("Parley takes custom messaging channels into a contact centre: webhooks in, an event log, read models, callbacks out.\n\n"+
			"Every flag can be given as an environment variable: --kafka-brokers is PARLEY_KAFKA_BROKERS."),
		kong.DefaultEnvars("PARLEY"),
		kong.UsageOnError(),
		kong.ExplicitGroups([]kong.Group{
			{Key: "respond", Title: "Only for respondio and ismessenger:"},
			{Key: "kit", Title: "Only for voximplant:"},
			{Key: "inbox", Title: "Only for channelx:"},
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitRequest(code)) }), //nolint:forbidigo // the one way out of kong that ends no process
	)
	if err != nil {
		fmt.Fprintln(stderr, "parley:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(stderr, "parley:", err)
		fmt.Fprintln(stderr, "Run parley --help, or parley <command> --help.")
		return 2
	}
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(streams{out: stdout, err: stderr}, c)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 130
	default:
		fmt.Fprintln(stderr, "parley:", err)
		return 1
	}
}
