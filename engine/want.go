package engine

// Want says that somebody needs everything below end to reach level and will learn of it through Observe. It returns at
// once. LevelDisk must be wanted: without, the log syncs when it has nothing better to do.
func (e *Engine) Want(end uint64, level Level) { e.lane.Want(end, level) }
