// Command shardmill is Kinesis that anyone can run: the server, the everyday client commands, the load generator and
// a demo, in one binary.
//
// Each subcommand is one file: a struct whose tags are its flags (see cli), and a Run method. Client commands speak
// the AWS API only, so that they work against any Kinesis-compatible endpoint. Data goes to stdout, talk to stderr.
// Only this package reads flags, environment and signals, prints, and exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is the whole grammar. Every flag may also be given as SHARDMILL_ and its name in upper snake case.
type cli struct {
	Serve   serveCmd   `cmd:"" default:"withargs" help:"Run the server. This is what happens without a command."`
	Put     putCmd     `cmd:"" help:"Write records to a stream, one per line."`
	Tail    tailCmd    `cmd:"" help:"Read a stream as it grows."`
	Mirror  mirrorCmd  `cmd:"" help:"Copy records between streams and files."`
	Stream  streamCmd  `cmd:"" help:"List, create, look at and reshape streams."`
	Load    loadCmd    `cmd:"" help:"Generate load and measure it."`
	Bench   benchCmd   `cmd:"" help:"Measure every part of this build beside a probe."`
	Demo    demoCmd    `cmd:"" help:"Run the whole thing on a web access log, and check every record."`
	Inspect inspectCmd `cmd:"" help:"Print what is in a segment file."`
	Env     envCmd     `cmd:"" help:"Print the environment that points AWS tools at this server."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Completion completionCmd `cmd:"" help:"Print a script that completes words in a shell."`
	Complete   completeCmd   `cmd:"" name:"__complete" hidden:"" help:"Answer a Tab."`
}

// app is what every command gets: the outside world.
type app struct {
	ctx    context.Context // ends with the first interrupt (serve handles its own)
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) (string, bool)

	// The following belong to serve.
	config  *config  // the file of --config; nil without
	aliases []string // one line for each compatibility alias that was used
}

func main() { os.Exit(mainCode()) }

// mainCode runs the program and returns its exit code, so that test scripts can run it in a child process.
func mainCode() int {
	ctx, stop := interruptible()
	defer stop()
	a := &app{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.LookupEnv}
	return a.run(os.Args[1:])
}

// run parses and runs one command line.
func (a *app) run(args []string) int {
	var grammar cli
	exited := -1
	parser, err := kong.New(&grammar,
		kong.Name("shardmill"),
		kong.Description("Kinesis that anyone can run: one durable log, written and read through the AWS API and a native protocol."),
		kong.DefaultEnvars("SHARDMILL"),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(code int) { exited = code; panic(exitNow{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 120}),
		kong.Bind(a),
		kong.Resolvers(&serveResolver{a}),
	)
	if err != nil {
		panic("BUG: command line grammar: " + err.Error())
	}
	code, done := a.parseAndRun(parser, args)
	if !done {
		return exited
	}
	return code
}

// exitNow unwinds the stack when kong has printed help and wants to exit.
type exitNow struct{}

func (a *app) parseAndRun(parser *kong.Kong, args []string) (code int, done bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exitNow); !ok {
				panic(r)
			}
			done = false
		}
	}()
	kctx, err := parser.Parse(args)
	if err != nil {
		return a.fail(parseFailure(err)), true
	}
	if err := kctx.Run(a); err != nil {
		return a.fail(err), true
	}
	return codeDone, true
}

// parseFailure makes a usage error of what kong says, unless it carries its own code (a bad configuration file).
func parseFailure(err error) error {
	var coded *exitError
	if errors.As(err, &coded) {
		return err
	}
	text := strings.TrimSpace(err.Error())
	return usagef("%s. See: shardmill --help", text)
}

// fail prints one line about err and returns the exit code.
func (a *app) fail(err error) int {
	code := exitCodeOf(a.ctx, err)
	if code == codeInterrupted {
		return code
	}
	a.say("shardmill: %s", explain(err))
	return code
}

// say prints one line of talk.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}
