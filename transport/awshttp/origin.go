package awshttp

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// anyOrigin lets pages of every origin call the server, as AWS does, where requests must be signed.
const anyOrigin = "*"

// door decides which web pages may use the server. A server that takes any credentials and listens on loopback is still
// within reach of every page that a browser on this machine has open; browsers tell by the Origin header. Programs send
// none, and are not affected.
type door struct {
	allow     string   // the origin that may call beside the server's own; anyOrigin: all; empty: none
	localOnly bool     // only hosts that can not be the name of a stranger's web site
	hosts     []string // names of this machine
}

func newDoor(o *Options) door {
	d := door{allow: o.CORS, hosts: o.Hosts}
	if o.Authenticator == nil {
		d.localOnly = o.Loopback && o.CORS != anyOrigin
	} else if d.allow == "" {
		d.allow = anyOrigin
	}
	return d
}

// refusal is the reason why a request may not enter; empty: it may.
func (d *door) refusal(r *http.Request) string {
	if d.localOnly && !d.knownHost(r.Host) {
		return "This server listens on loopback and takes any credentials, so it answers only to addresses and names of this machine, " +
			"not to " + clip(r.Host) + ". Use http://127.0.0.1, or configure keys."
	}
	origin := r.Header.Get("Origin")
	if origin == "" || d.allow == anyOrigin || origin == d.allow || sameOrigin(origin, r.Host) {
		return ""
	}
	return "Pages of " + clip(origin) + " may not call this server, which takes any credentials. Start it with --cors " + clip(origin) +
		" to allow that, or configure keys."
}

// answer is the Access-Control-Allow-Origin of a reply to this origin; empty: none.
func (d *door) answer(origin string) string {
	switch {
	case origin == "":
		return ""
	case d.allow == anyOrigin:
		return anyOrigin
	case origin == d.allow:
		return origin
	}
	return "" // its own pages need no leave
}

// knownHost tells whether a Host header can not be a name that somebody else has pointed at this machine: an address, a
// name that only this machine resolves, or one that it was told of.
func (d *door) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".internal") {
		return true // without a Host it is no browser; .internal (Docker's name of the host) can not be registered
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.ContainsFunc(d.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// sameOrigin tells whether a page came from this server.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && host != "" && strings.EqualFold(u.Host, host)
}

// clip keeps what a client sent short and printable in an answer.
func clip(s string) string {
	const longest = 100
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	return s
}
