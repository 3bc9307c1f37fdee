//go:build !purego

package processor

// cpuid runs CPUID with a leaf in EAX and a subleaf in ECX.
func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)

// xgetbv is the low half of XCR0: whose registers the operating system keeps. It wants OSXSAVE.
func xgetbv() uint32

// Bits as in Intel's manual, volume 2, CPUID, and volume 1, 14.3 and 15.2.
const (
	leafFeatures = 1
	osxsave      = 1 << 27 // ECX
	avx          = 1 << 28

	leafExtended = 7
	avx2         = 1 << 5 // EBX
	avx512f      = 1 << 16

	keepsAVX    = 1<<1 | 1<<2
	keepsAVX512 = keepsAVX | 1<<5 | 1<<6 | 1<<7
)

func detect() set {
	highest, _, _, _ := cpuid(0, 0)
	if highest < leafExtended {
		return set{}
	}
	if _, _, c, _ := cpuid(leafFeatures, 0); c&osxsave == 0 || c&avx == 0 {
		return set{}
	}
	kept := xgetbv()
	_, b, _, _ := cpuid(leafExtended, 0)
	return set{
		avx2:    b&avx2 != 0 && kept&keepsAVX == keepsAVX,
		avx512f: b&avx512f != 0 && kept&keepsAVX512 == keepsAVX512,
	}
}
