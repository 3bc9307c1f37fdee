package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// releaseVersion is the version of this source tree.
const releaseVersion = "0.1.0"

// versionCmd prints the version.
type versionCmd struct {
	JSON   bool   `name:"json" help:"The same as -o json."`
	Output string `short:"o" enum:"text,json,yaml" default:"text" help:"Output format: text, json or yaml."`
}

// buildInfo says which program this is.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"` // built from a changed tree
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func thisBuild() buildInfo {
	b := buildInfo{Version: releaseVersion, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

// Run is called by kong.
func (v *versionCmd) Run(a *app) error {
	b := thisBuild()
	if v.JSON {
		v.Output = "json"
	}
	if v.Output != "text" {
		return printAs(a.stdout, v.Output, b, nil)
	}
	line := "shardmill " + b.Version
	if b.Commit != "" {
		line += " (" + b.Commit[:min(12, len(b.Commit))] + ")"
	}
	fmt.Fprintf(a.stdout, "%s %s %s/%s\n", line, b.Go, b.OS, b.Arch)
	return nil
}
