package native

import (
	"github.com/shardmill/shardmill/codec/frame"
	"github.com/shardmill/shardmill/engine"
)

// openStream looks a stream up, or makes it, on a worker: making one waits for the disk, and so may looking up behind it.
func (s *session) openStream(h *frame.Header, body []byte) {
	req, err := frame.DecodeOpen(body)
	switch {
	case err != nil:
		s.refuse(h.Corr, frame.CodeMalformed, err.Error())
		return
	case s.opens == maxOpens:
		s.reject(h, frame.CodeTooMany, "too many unanswered OPENs")
		return
	case s.srv.draining.Load():
		s.reject(h, frame.CodeClosing, "server is shutting down")
		return
	}
	name := engine.Name{Account: string(req.Account), Region: string(req.Region), Stream: string(req.Stream)}
	account, region := s.srv.o.Engine.Defaults()
	if name.Region == "" {
		name.Region = region
	}
	switch {
	case s.account != "" && name.Account != "" && name.Account != s.account:
		s.reject(h, frame.CodeDenied, "this access key is another account's")
		return
	case s.account != "":
		name.Account = s.account
	case name.Account == "":
		name.Account = account
	}
	r := &openRequest{corr: h.Corr, name: name}
	if req.Create {
		level := engine.Level(req.Durability)
		r.create = &engine.CreateStream{Name: name, Shards: int(req.Shards), Routing: req.Routing, Durability: &level}
	}
	s.opens++
	j := s.srv.work.newJob()
	*j = job{kind: jobOpen, s: s, open: r}
	s.srv.work.submit(j)
}

// opened answers an OPEN.
func (s *session) opened(r *openRequest) {
	if s.closed {
		return
	}
	l := s.loop
	l.out = l.out[:0]
	if r.err != nil {
		l.out = frame.AppendError(l.out, r.corr, 0, codeOf(r.err), messageOf(r.err))
		s.flush()
		return
	}
	info := r.st.Info()
	handle := s.handleOf(r.st, info)
	if handle == 0 {
		l.out = frame.AppendError(l.out, r.corr, 0, frame.CodeTooMany, "too many streams in one session")
		s.flush()
		return
	}
	o := frame.Opened{Routing: info.Routing, Durability: info.Durability, RouteEpoch: info.RouteEpoch, StreamID: info.ID,
		Total: uint32(len(info.Shards))}
	rest, step := info.Shards, frame.MaxShardsPerFrame(s.maxOut)
	for {
		part := rest[:min(step, len(rest))]
		rest = rest[len(part):]
		flags := frame.Flags(0)
		if len(rest) > 0 {
			flags = frame.FlagMore
		}
		l.out = frame.AppendOpened(l.out, flags, r.corr, handle, &o, len(part), func(i int) frame.Shard {
			sh := &part[i]
			return frame.Shard{Index: sh.Index, ID: sh.ID, Open: sh.Open(), Range: sh.Range, Parent: sh.Parent,
				AdjacentParent: sh.AdjacentParent}
		})
		if len(rest) == 0 {
			break
		}
	}
	s.flush()
}

// handleOf returns the session's handle of a stream, a new one where it has none; 0 where it has too many.
func (s *session) handleOf(st *engine.Stream, info *engine.StreamInfo) uint32 {
	for i := range s.streams {
		if s.streams[i].id == info.ID {
			return uint32(i + 1)
		}
	}
	if len(s.streams) == maxStreams {
		return 0
	}
	s.streams = append(s.streams, stream{st: st, id: info.ID, floor: engine.Level(info.Durability)})
	return uint32(len(s.streams))
}
