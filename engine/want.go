package engine

// Want says that somebody needs everything below end to reach level and will learn of it through Observe. It returns at
// once. LevelDisk must be wanted: without, the log syncs when it has nothing better to do.
func (e *Engine) Want(end uint64, level Level) { e.lane.Want(end, level) }

// Resident tells whether ReadBatches from a position needs no disk, for callers that must not wait for one. Appends may
// overtake the answer.
func (e *Engine) Resident(from uint64) bool { return e.lane.Resident(from) }
