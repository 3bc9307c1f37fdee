package batch

import "fmt"

// String is every header field in one line, for people. The position is only plain in a delivered batch.
func (b Batch) String() string {
	switch {
	case len(b) >= PadHeaderLen && b.Kind() == KindPad:
		return fmt.Sprintf("pad position=%d len=%d", b.Position(), b.Len())
	case len(b) < HeaderLen:
		return fmt.Sprintf("batch of %d bytes, shorter than a header", len(b))
	}
	return fmt.Sprintf("%v position=%d len=%d codec=%v keyHashes=%t records=%d shard=%d bodyLen=%d rawLen=%d dictID=%d "+
		"appendMicros=%d producerID=%d producerSeq=%d producerEpoch=%d routeEpoch=%d clientMicros=%d bodySum=%016x "+
		"durableHint=%d headerSum=%016x",
		b.Kind(), b.Position(), b.Len(), b.Codec(), b.HasKeyHashes(), b.Records(), b.Shard(), b.BodyLen(), b.RawLen(),
		b.DictID(), b.AppendMicros(), b.ProducerID(), b.ProducerSeq(), b.ProducerEpoch(), b.RouteEpoch(),
		b.ClientMicros(), b.BodySum(), b.DurableHint(), b.HeaderSum())
}

// String is "pad", "data", or the number of an unknown kind.
func (k Kind) String() string {
	switch k {
	case KindPad:
		return "pad"
	case KindData:
		return "data"
	}
	return fmt.Sprintf("kind%d", uint8(k))
}

// String is "raw", "zstd", or the number of an unknown codec.
func (c Codec) String() string {
	switch c {
	case CodecRaw:
		return "raw"
	case CodecZstd:
		return "zstd"
	}
	return fmt.Sprintf("codec%d", uint8(c))
}
