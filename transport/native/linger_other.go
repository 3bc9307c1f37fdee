//go:build !unix

package native

import "github.com/panjf2000/gnet/v2"

// shutdownWrite has no counterpart here: the deadline of the refused session closes the connection.
func shutdownWrite(gnet.Conn) {}
