package lane

// stressPoint names a place between two atomics of the lock-free parts. With the build tag lanestress the goroutine that
// passes one now and then yields or sleeps there, so that tests meet interleavings that hardware rarely shows.
type stressPoint uint8

const (
	stressClaim    stressPoint = iota // before the claim's compare-and-swap
	stressCopy                        // claimed, nothing copied
	stressCommit                      // copied, not committed
	stressAnnounce                    // committed, not announced to the publisher
	stressPublish                     // found committed, not indexed
	stressVisible                     // indexed, watermark not moved
	stressHandOver                    // watermark moved, role not given up
	stressPin                         // pinned, cut not yet looked at
	stressPinned                      // pin holds, nothing copied
	stressCut                         // cut moved, pins not yet looked at
	stressWork                        // a background goroutine knows whether to quit, not yet whether there is work
	stressLimit                       // pins looked at, limit not moved
)
