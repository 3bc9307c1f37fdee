package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// tornOneIn is how rarely an unsynced block is torn into sectors instead of kept or lost as a whole.
const tornOneIn = 8

// KillClone returns the disk as kill -9 of its users leaves it now: everything written is there, and what was not synced
// still is not. Open files and locks stay behind. Neither disk sees what is later done to the other.
func (m *Mem) KillClone() *Mem {
	return m.clone(func(c *memCloner, from, to *memNode) {
		to.memData = memData{
			blocks:      slices.Clone(from.blocks),
			durBlocks:   slices.Clone(from.durBlocks),
			size:        from.size,
			durSize:     from.durSize,
			dirty:       maps.Clone(from.dirty),
			sizeChanged: from.sizeChanged,
			changed:     from.changed,
		}
		if !from.isFolder() {
			return
		}
		to.entries, to.durable = c.names(from.entries), c.names(from.durable)
		to.pending = slices.Clone(from.pending)
		for i, change := range to.pending {
			if change.node != nil {
				to.pending[i].node = c.node(change.node)
			}
		}
	})
}

// CrashClone returns the disk as a power loss at this moment could leave it. Everything synced is there. Of what was not,
// each 4 KiB block, each file size and each folder change is kept with probability keep and lost otherwise, one
// independently of the other; between 0 and 1, one block in eight is torn: each 512 B sector old or new by itself. A file
// that was removed, but whose removal is lost, is back. Equal seeds give equal disks; r may be nil where keep is 0 or 1.
func (m *Mem) CrashClone(r *rand.Rand, keep float64) *Mem {
	dice := crashDice{r, keep}
	return m.clone(func(c *memCloner, from, to *memNode) {
		to.memData = dice.data(&from.memData, c.own)
		if !from.isFolder() {
			return
		}
		left := maps.Clone(from.durable)
		for _, change := range from.pending {
			if dice.keeps() {
				change.apply(left)
			}
		}
		to.durable = c.names(left)
		to.entries = maps.Clone(to.durable)
	})
}

// memCloner copies a tree; copy fills in one node.
type memCloner struct {
	copies map[*memNode]*memNode
	own    *memOwner
	copy   func(c *memCloner, from, to *memNode)
}

func (m *Mem) clone(copyNode func(c *memCloner, from, to *memNode)) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	// From here on both sides copy a block before they write it.
	m.own = new(memOwner)
	c := &memCloner{copies: map[*memNode]*memNode{}, own: new(memOwner), copy: copyNode}
	to := &Mem{root: c.node(m.root), locks: map[string]bool{}, own: c.own, limit: m.limit}
	to.countNames(to.root)
	for from, n := range c.copies {
		// A file that only pending changes still name is charged nothing, as in m.
		if n.names > 0 {
			n.alloc = max(min(from.alloc, roundUp(n.size)), int64(len(n.blocks))*blockSize)
			to.used += n.alloc
		}
	}
	return to
}

func roundUp(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }

func (c *memCloner) node(n *memNode) *memNode {
	if to := c.copies[n]; to != nil {
		return to
	}
	to := &memNode{}
	c.copies[n] = to
	c.copy(c, n, to)
	return to
}

// names copies a folder's table in the order of names, so that a seed gives one result.
func (c *memCloner) names(table map[string]*memNode) map[string]*memNode {
	to := make(map[string]*memNode, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		to[name] = c.node(table[name])
	}
	return to
}

func (m *Mem) countNames(folder *memNode) {
	for _, n := range folder.entries {
		if n.names++; n.isFolder() && n.names == 1 {
			m.countNames(n)
		}
	}
}

// crashDice decides what of the unsynced survives.
type crashDice struct {
	r    *rand.Rand
	keep float64
}

func (d crashDice) certain() bool { return d.keep <= 0 || d.keep >= 1 }

func (d crashDice) keeps() bool {
	if d.certain() {
		return d.keep > 0
	}
	return d.r.Float64() < d.keep
}

func (d crashDice) torn() bool { return !d.certain() && d.r.IntN(tornOneIn) == 0 }

// data is what is left of a file, all of it durable.
func (d crashDice) data(from *memData, own *memOwner) memData {
	size := from.durSize
	switch {
	case from.size == from.durSize:
	case from.size > from.durSize && d.torn():
		size += d.r.Int64N(from.size - from.durSize)
	case d.keeps():
		size = from.size
	}
	n := min(max(len(from.blocks), len(from.durBlocks)), int(roundUp(size)/blockSize))
	blocks := make([]*memBlock, n)
	for i := range blocks {
		now, synced := blockAt(from.blocks, i), blockAt(from.durBlocks, i)
		switch {
		case now == synced:
			blocks[i] = now
		case d.torn():
			blocks[i] = d.tear(now, synced, own)
		case d.keeps():
			blocks[i] = now
		default:
			blocks[i] = synced
		}
	}
	// What lies behind the end of the file reads as zero when it grows again.
	if tail := size % blockSize; tail != 0 && int64(n)*blockSize > size && blocks[n-1] != nil {
		cut := &memBlock{owner: own}
		copy(cut.data[:tail], blocks[n-1].data[:])
		blocks[n-1] = cut
	}
	return memData{blocks: blocks, durBlocks: slices.Clone(blocks), size: size, durSize: size, changed: from.changed}
}

func (d crashDice) tear(now, synced *memBlock, own *memOwner) *memBlock {
	torn := &memBlock{owner: own}
	for at := 0; at < blockSize; at += sectorSize {
		from := synced
		if d.keeps() {
			from = now
		}
		if from != nil {
			copy(torn.data[at:at+sectorSize], from.data[at:])
		}
	}
	return torn
}
