package native

import (
	"context"

	"github.com/panjf2000/gnet/v2"
)

// MaxOutbound is the most unsent bytes of any session now.
func (s *Server) MaxOutbound() int {
	most := 0
	for _, l := range *s.loops.Load() {
		ch := make(chan int)
		err := l.el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			n := 0
			for s := range l.sessions {
				if !s.closed {
					n = max(n, s.conn.OutboundBuffered())
				}
			}
			ch <- n
			return nil
		}))
		if err == nil {
			most = max(most, <-ch)
		}
	}
	return most
}

const (
	OutboundLimit = outboundLimit
	MaxFetches    = maxFetches
	MaxSubs       = maxSubscriptions
)
