package main

import (
	"fmt"
	"io"
	"strings"
)

// writeBanner says where the server is. Its last line ends in "Ready.", which tools that start servers wait for.
func writeBanner(w io.Writer, n *node) error {
	var b strings.Builder
	data := n.opts.Data
	if n.opts.Ephemeral {
		data = "kept until exit only"
	}
	fmt.Fprintf(&b, "shardmill %s  data %s (durability: %s)  %s\n", releaseVersion, data, n.opts.Durability, n.audience())
	fmt.Fprintf(&b, "  AWS APIs   %-24s", n.httpURL())
	if n.tlsAddr != "" {
		fmt.Fprintf(&b, " https://%s (self-signed, sha256 %s)", n.tlsAddr, n.fingerprint)
	}
	fmt.Fprintf(&b, "\n  Metrics    %s/metrics\n", n.httpURL())
	if n.nativeAddr != "" {
		fmt.Fprintf(&b, "  Native     %s\n", n.nativeAddr)
	}
	endpoint := ""
	if n.httpURL() != defaultEndpoint {
		endpoint = " --endpoint " + n.httpURL()
	}
	fmt.Fprintf(&b, "  Try        eval \"$(shardmill env%s)\" && aws kinesis list-streams      or      shardmill demo\n", endpoint)
	b.WriteString("Ready.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// audience says who may talk to the server.
func (n *node) audience() string {
	where := "loopback only"
	if !n.loopbackOnly {
		where = "open to the network"
	}
	if len(n.keys) > 0 {
		return where + ", " + plural(int64(len(n.keys)), "key")
	}
	return where + ", any credentials accepted"
}
