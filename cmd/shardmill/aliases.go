package main

import (
	"strconv"
	"strings"
	"time"
)

// alias is an environment variable of another emulator that serve understands, so that its users change nothing.
type alias struct {
	flag   string // of serve
	theirs string
	// convert gives the value in our words; ok is false where the value says nothing we could use.
	convert func(value string) (ours string, ok bool)
}

// compatibilityAliases lists them; the first one set for a flag wins.
func compatibilityAliases() []alias {
	same := func(v string) (string, bool) { return v, v != "" }
	return []alias{
		{"streams", "KINESIS_INITIALIZE_STREAMS", same},
		{"streams", "INITIALIZE_STREAMS", same},
		{"shard-limit", "SHARD_LIMIT", same},
		{"transition", "CREATE_STREAM_DURATION", durationOrMillis},
		{"listen", "GATEWAY_PORT", portOnLoopback},
		{"account", "AWS_ACCOUNT_ID", same},
	}
}

func portOnLoopback(v string) (string, bool) {
	_, err := strconv.ParseUint(v, 10, 16)
	return "127.0.0.1:" + v, err == nil
}

// durationOrMillis takes "500ms" and "500": kinesis-mock's users write the first, kinesalite's the second.
func durationOrMillis(v string) (string, bool) {
	if ms, err := strconv.ParseUint(v, 10, 31); err == nil {
		return (time.Duration(ms) * time.Millisecond).String(), true
	}
	d, err := time.ParseDuration(strings.ReplaceAll(v, " ", ""))
	return d.String(), err == nil
}

// aliasFor looks for a compatibility alias of a flag in the environment. It remembers one line for each one used.
func (a *app) aliasFor(flag string) (value string, ok bool) {
	for _, al := range compatibilityAliases() {
		if al.flag != flag {
			continue
		}
		theirs, set := a.getenv(al.theirs)
		if !set || theirs == "" {
			continue
		}
		ours, ok := al.convert(theirs)
		if !ok {
			a.aliases = append(a.aliases, "ignoring "+al.theirs+"="+theirs+": not understood")
			continue
		}
		a.aliases = append(a.aliases, "using "+al.theirs+"="+theirs+" as --"+flag+" "+ours)
		return ours, true
	}
	return "", false
}
