package lane

// Resident tells whether a Read from a position finds everything from there on in the ring, so that it does not touch a
// file: now, and unless appends overtake it, at the time of the read. It does not block and is cheap.
func (l *Lane) Resident(from uint64) bool {
	return l.opts.FS == nil || max(from, l.Horizon()) >= l.cut.Load()
}
