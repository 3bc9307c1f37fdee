//go:build unix

package native

import (
	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// shutdownWrite ends our half of a connection. An error means that the connection is gone, which the loop notices.
func shutdownWrite(c gnet.Conn) { _ = unix.Shutdown(c.Fd(), unix.SHUT_WR) }
