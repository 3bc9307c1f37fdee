//go:build !purego

#include "textflag.h"

// What a letter's high and low nibble allow: no common bit means a letter of base64.
DATA lowNibble<>+0(SB)/8, $0x1111111111111115
DATA lowNibble<>+8(SB)/8, $0x1a1b1b1b1a131111
GLOBL lowNibble<>(SB), RODATA|NOPTR, $16
DATA highNibble<>+0(SB)/8, $0x0804080402011010
DATA highNibble<>+8(SB)/8, $0x1010101010101010
GLOBL highNibble<>(SB), RODATA|NOPTR, $16

// What turns a letter into its value, by high nibble, '/' at one less than the others of its row.
DATA toValue<>+0(SB)/8, $0xb9b9bfbf04131000
DATA toValue<>+8(SB)/8, $0x0000000000000000
GLOBL toValue<>(SB), RODATA|NOPTR, $16

// The three bytes of each 32-bit word in big-endian order, to the front of their half; then the halves together.
DATA threeOfFour<>+0(SB)/8, $0x090a040506000102
DATA threeOfFour<>+8(SB)/8, $0xffffffff0c0d0e08
GLOBL threeOfFour<>(SB), RODATA|NOPTR, $16
DATA together<>+0(SB)/8, $0x0000000100000000
DATA together<>+8(SB)/8, $0x0000000400000002
DATA together<>+16(SB)/8, $0x0000000600000005
DATA together<>+24(SB)/8, $0x0000000700000007
GLOBL together<>(SB), RODATA|NOPTR, $32

DATA slash<>+0(SB)/4, $0x2f2f2f2f
GLOBL slash<>(SB), RODATA|NOPTR, $4
DATA pairs<>+0(SB)/4, $0x01400140
GLOBL pairs<>(SB), RODATA|NOPTR, $4
DATA fours<>+0(SB)/4, $0x00011000
GLOBL fours<>(SB), RODATA|NOPTR, $4

// func decodeBlocks(dst, src *byte, n int) bool
TEXT ·decodeBlocks(SB), NOSPLIT, $0-25
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTI128 lowNibble<>(SB), Y8
	VBROADCASTI128 highNibble<>(SB), Y9
	VBROADCASTI128 toValue<>(SB), Y10
	VBROADCASTI128 threeOfFour<>(SB), Y11
	VMOVDQU together<>(SB), Y12
	VPBROADCASTD slash<>(SB), Y13
	VPBROADCASTD pairs<>(SB), Y14
	VPBROADCASTD fours<>(SB), Y15
	VPXOR Y7, Y7, Y7 // what any letter disallows

block:
	VMOVDQU (SI), Y0
	VPSRLD $4, Y0, Y1
	VPAND Y13, Y1, Y1
	VPAND Y13, Y0, Y2
	VPSHUFB Y1, Y9, Y3
	VPSHUFB Y2, Y8, Y2
	VPAND Y2, Y3, Y3
	VPOR Y3, Y7, Y7
	VPCMPEQB Y13, Y0, Y4
	VPADDB Y1, Y4, Y4
	VPSHUFB Y4, Y10, Y4
	VPADDB Y4, Y0, Y0
	VPMADDUBSW Y14, Y0, Y0
	VPMADDWD Y15, Y0, Y0
	VPSHUFB Y11, Y0, Y0
	VPERMD Y0, Y12, Y0
	VMOVDQU Y0, (DI)
	SUBQ $32, CX
	JZ done
	ADDQ $32, SI
	ADDQ $24, DI
	CMPQ CX, $32
	JGE block
	// Fewer than 32 letters are left: step back, so that the last block ends with them.
	MOVQ $32, AX
	SUBQ CX, AX
	SUBQ AX, SI
	SHRQ $2, AX
	LEAQ (AX)(AX*2), AX
	SUBQ AX, DI
	MOVQ $32, CX
	JMP block

done:
	VPTEST Y7, Y7
	SETEQ ret+24(FP)
	VZEROUPPER
	RET

// Each 32-bit word gets the three bytes it is made of, the middle one twice: 1 0 2 1, 4 3 5 4 and so on.
DATA fourOfThree<>+0(SB)/8, $0x0405030401020001
DATA fourOfThree<>+8(SB)/8, $0x0a0b090a07080607
GLOBL fourOfThree<>(SB), RODATA|NOPTR, $16

// What turns a value into its letter: 0 for A-Z, 1 for a-z, 2 to 11 for the digits, 12 and 13 for plus and slash.
DATA toLetter<>+0(SB)/8, $0xfcfcfcfcfcfc4741
DATA toLetter<>+8(SB)/8, $0x0000f0edfcfcfcfc
GLOBL toLetter<>(SB), RODATA|NOPTR, $16

DATA oddBits<>+0(SB)/4, $0x0fc0fc00
GLOBL oddBits<>(SB), RODATA|NOPTR, $4
DATA oddShift<>+0(SB)/4, $0x04000040
GLOBL oddShift<>(SB), RODATA|NOPTR, $4
DATA evenBits<>+0(SB)/4, $0x003f03f0
GLOBL evenBits<>(SB), RODATA|NOPTR, $4
DATA evenShift<>+0(SB)/4, $0x01000010
GLOBL evenShift<>(SB), RODATA|NOPTR, $4
DATA lastCapital<>+0(SB)/4, $0x19191919
GLOBL lastCapital<>(SB), RODATA|NOPTR, $4
DATA lastLetter<>+0(SB)/4, $0x33333333
GLOBL lastLetter<>(SB), RODATA|NOPTR, $4

// func encodeBlocks(dst, src *byte, blocks int)
TEXT ·encodeBlocks(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VBROADCASTI128 fourOfThree<>(SB), Y8
	VBROADCASTI128 toLetter<>(SB), Y9
	VPBROADCASTD oddBits<>(SB), Y10
	VPBROADCASTD oddShift<>(SB), Y11
	VPBROADCASTD evenBits<>(SB), Y12
	VPBROADCASTD evenShift<>(SB), Y13
	VPBROADCASTD lastCapital<>(SB), Y14
	VPBROADCASTD lastLetter<>(SB), Y15

next:
	VMOVDQU (SI), X0
	VINSERTI128 $1, 12(SI), Y0, Y0
	VPSHUFB Y8, Y0, Y0
	VPAND Y10, Y0, Y1
	VPMULHUW Y11, Y1, Y1
	VPAND Y12, Y0, Y2
	VPMULLW Y13, Y2, Y2
	VPOR Y1, Y2, Y0
	VPSUBUSB Y15, Y0, Y1
	VPCMPGTB Y14, Y0, Y2
	VPSUBB Y2, Y1, Y1
	VPSHUFB Y1, Y9, Y1
	VPADDB Y1, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $24, SI
	ADDQ $32, DI
	DECQ CX
	JNZ next
	VZEROUPPER
	RET
