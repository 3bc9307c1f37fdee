//go:build !amd64 || purego

package hashkey

func vectorMD5() bool { return false }

func md5Lanes(*[4][lanes]uint32, *[16][lanes]uint32, int) {
	panic("BUG: no vector MD5 on this processor")
}
