package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// Nobody waits longer than this for a Tab.
const completionPatience = 200 * time.Millisecond

const completionLimit = 500 // streams asked for

// completionCmd prints a script for a shell, which asks completeCmd at each Tab.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run is called by kong.
func (c *completionCmd) Run(a *app) error {
	script := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	if _, err := fmt.Fprint(a.stdout, script); err != nil {
		return exitf(codeFailed, "%w", err)
	}
	return nil
}

const bashCompletion = `# Completion of shardmill for bash. Load it with: source <(shardmill completion bash)
_shardmill() {
  local IFS=$'\n'
  COMPREPLY=($("$1" __complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _shardmill shardmill
`

const zshCompletion = `#compdef shardmill
# Completion of shardmill for zsh. Load it with: source <(shardmill completion zsh)
_shardmill() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then _describe shardmill found; else _files; fi
}
if [[ "${funcstack[1]}" = _shardmill ]]; then _shardmill "$@"; else compdef _shardmill shardmill; fi
`

const fishCompletion = `# Completion of shardmill for fish. Load it with: shardmill completion fish | source
function __shardmill_complete
    set -l words (commandline -opc)
    set -l found ($words[1] __complete fish -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c shardmill -f -a '(__shardmill_complete)'
`

// completeCmd answers a Tab: it prints what the last word may become. It never fails, because nobody would see why.
type completeCmd struct {
	Shell string   `arg:"" help:"Who asks."`
	Words []string `arg:"" optional:"" passthrough:"" help:"The command line so far, after the program's name; the last word is the one to complete."`
}

// Run is called by kong.
func (c *completeCmd) Run(a *app, kctx *kong.Context) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	last := ""
	if n := len(words); n > 0 {
		words, last = words[:n-1], words[n-1]
	}
	l := readCommandLine(kctx.Model.Node, words)
	for _, found := range l.candidates(last, func() []string { return a.streamNames(l.flags) }) {
		if _, err := fmt.Fprintln(a.stdout, found.text(c.Shell)); err != nil {
			return nil // the shell is gone
		}
	}
	return nil
}

// candidate is a word that would fit.
type candidate struct{ word, help string }

// text is how a shell wants a candidate.
func (c candidate) text(shell string) string {
	help, _, _ := strings.Cut(c.help, ". ")
	help = strings.TrimSuffix(oneLine(help), ".")
	switch {
	case shell == "bash" || help == "":
		return c.word
	case shell == "zsh":
		return strings.ReplaceAll(c.word, ":", `\:`) + ":" + help
	}
	return c.word + "\t" + help
}

// commandLine is what is known of a line that is not finished.
type commandLine struct {
	node    *kong.Node        // the command that was chosen
	args    int               // positional words after it
	flags   map[string]string // values given, by long name
	pending *kong.Flag        // waits for its value in the word to complete
	bare    bool              // after --: no flags any more
}

// readCommandLine follows whole words from the root of the grammar.
func readCommandLine(root *kong.Node, words []string) *commandLine {
	l := &commandLine{node: root, flags: map[string]string{}}
	for _, w := range words {
		switch {
		case l.pending != nil:
			if w != "=" { // bash makes three words of --flag=value
				l.flags[l.pending.Name] = w
				l.pending = nil
			}
		case l.bare || !strings.HasPrefix(w, "-") || w == "-":
			l.word(w)
		case w == "--":
			l.bare = true
		default:
			name, value, given := strings.Cut(w, "=")
			f := l.flag(name)
			if f == nil {
				continue
			}
			if given {
				l.flags[f.Name] = value
			} else if !f.IsBool() && !f.IsCounter() {
				l.pending = f
			}
		}
	}
	return l
}

// word takes a command or an argument.
func (l *commandLine) word(w string) {
	for _, child := range l.node.Children {
		if child.Name == w {
			l.node, l.args = child, 0
			return
		}
	}
	l.args++
}

// all returns the flags that may be given here: of the command and those above it, and at the root those of the command
// that is run without a name.
func (l *commandLine) all() (flags []*kong.Flag) {
	for n := l.node; n != nil; n = n.Parent {
		flags = append(flags, n.Flags...)
	}
	if l.node.DefaultCmd != nil {
		flags = append(flags, l.node.DefaultCmd.Flags...)
	}
	return flags
}

func (l *commandLine) flag(name string) *kong.Flag {
	for _, f := range l.all() {
		if name == "--"+f.Name || f.Short != 0 && name == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// candidates are the words that begin with last, in the grammar's order. Without any the shell offers files.
func (l *commandLine) candidates(last string, streams func() []string) (found []candidate) {
	add := func(prefix string, words []string) {
		for _, w := range words {
			if w != "" {
				found = append(found, candidate{word: prefix + w})
			}
		}
	}
	switch name, _, value := strings.Cut(last, "="); {
	case l.pending != nil:
		add("", l.values(l.pending))
		last = strings.TrimPrefix(last, "=")
	case !l.bare && value && strings.HasPrefix(last, "--"):
		if f := l.flag(name); f != nil {
			add(name+"=", l.values(f))
		}
	case !l.bare && strings.HasPrefix(last, "-"):
		for _, f := range l.all() {
			if !f.Hidden {
				found = append(found, candidate{"--" + f.Name, f.Help})
			}
		}
	case len(l.node.Children) > 0:
		for _, child := range l.node.Children {
			if !child.Hidden {
				found = append(found, candidate{child.Name, child.Help})
			}
		}
	case l.args < len(l.node.Positional):
		switch p := l.node.Positional[l.args]; {
		case p.Enum != "":
			add("", strings.Split(p.Enum, ","))
		case p.Name == "stream" || p.Name == "src" || p.Name == "dst":
			add("", streams())
		}
	}
	return slices.DeleteFunc(found, func(c candidate) bool { return !strings.HasPrefix(c.word, last) })
}

// values are what a flag may be, where that is a matter of choice.
func (l *commandLine) values(f *kong.Flag) []string {
	if f.Enum == "" {
		return nil
	}
	return strings.Split(f.Enum, ",")
}

// streamNames asks the server that the line names for its streams; none where it does not answer at once.
func (a *app) streamNames(flags map[string]string) []string {
	ctx, cancel := context.WithTimeout(a.ctx, completionPatience)
	defer cancel()
	of := func(flag string) string {
		if v := flags[flag]; v != "" {
			return v
		}
		v, _ := a.getenv("SHARDMILL_" + strings.ToUpper(flag))
		return v
	}
	names := make(chan []string, 1) // the client may be slower than it is told to be
	go func() {
		c, err := newClient(ctx, &clientFlags{Endpoint: of("endpoint"), Region: of("region"), Profile: of("profile")}, a)
		if err != nil {
			names <- nil
			return
		}
		out, err := c.ListStreams(ctx, &kinesis.ListStreamsInput{Limit: aws.Int32(completionLimit)})
		if err != nil {
			names <- nil
			return
		}
		names <- out.StreamNames
	}()
	select {
	case found := <-names:
		return found
	case <-ctx.Done():
		return nil
	}
}
