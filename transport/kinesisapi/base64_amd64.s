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
