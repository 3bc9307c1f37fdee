package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// envCmd prints what a shell needs so that AWS tools talk to this server. What is set already, stays.
type envCmd struct {
	Endpoint string `default:"http://127.0.0.1:4566" help:"Server to point at."`
	Region   string `default:"us-east-1" help:"Region to set where none is set."`
	Profile  string `help:"Write an AWS profile of this name, and print the line that selects it. An existing one is left alone." placeholder:"NAME"`
}

// servedServices are the AWS names of the services this version answers for.
func servedServices() []string { return []string{"KINESIS", "DYNAMODB", "CLOUDWATCH", "STS"} }

// Run is called by kong.
func (e *envCmd) Run(a *app) error {
	if strings.ContainsAny(e.Endpoint+e.Region+e.Profile, "'\"\\$`\n\r[] ") {
		return usagef("env: endpoint, region and profile must not contain quotes, blanks or shell characters")
	}
	if e.Profile != "" {
		return e.writeProfile(a)
	}
	for _, service := range servedServices() {
		fmt.Fprintf(a.stdout, "export AWS_ENDPOINT_URL_%s=%s\n", service, e.Endpoint)
	}
	fmt.Fprintf(a.stdout, "export AWS_REGION=\"${AWS_REGION:-%s}\"\n", e.Region)
	fmt.Fprintf(a.stdout, "export AWS_DEFAULT_REGION=\"${AWS_DEFAULT_REGION:-$AWS_REGION}\"\n") // botocore reads this one
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		fmt.Fprintf(a.stdout, "export %s=\"${%s:-shardmill}\"\n", name, name)
	}
	return nil
}

// writeProfile appends a profile to the AWS configuration file.
func (e *envCmd) writeProfile(a *app) error {
	path, ok := a.getenv("AWS_CONFIG_FILE")
	if !ok || path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return exitf(codeFailed, "write profile: %w", err)
		}
		path = filepath.Join(home, ".aws", "config")
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return exitf(codeFailed, "write profile: %w", err)
	}
	for line := range strings.Lines(string(old)) {
		section := strings.Join(strings.Fields(strings.Trim(strings.TrimSpace(line), "[]")), " ")
		if section == "profile "+e.Profile || section == "services "+e.Profile {
			return exitf(codeFailed, "write profile: %s already has %q; it is left alone, choose another name", path, section)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return exitf(codeFailed, "write profile: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return exitf(codeFailed, "write profile: %w", err)
	}
	_, err = f.WriteString(e.profileText(len(old) > 0))
	if err := errors.Join(err, f.Close()); err != nil {
		return exitf(codeFailed, "write profile: %w", err)
	}
	a.say("profile %s written to %s", e.Profile, path)
	fmt.Fprintf(a.stdout, "export AWS_PROFILE=%s\n", e.Profile)
	return nil
}

func (e *envCmd) profileText(after bool) string {
	var b strings.Builder
	if after {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "[profile %s]\nregion = %s\naws_access_key_id = shardmill\naws_secret_access_key = shardmill\nservices = %s\n",
		e.Profile, e.Region, e.Profile)
	fmt.Fprintf(&b, "\n[services %s]\n", e.Profile)
	for _, service := range servedServices() {
		fmt.Fprintf(&b, "%s =\n  endpoint_url = %s\n", strings.ToLower(service), e.Endpoint)
	}
	return b.String()
}
