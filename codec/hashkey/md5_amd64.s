//go:build !purego

#include "textflag.h"

// MD5 states side by side, one in each 32-bit lane: eight with AVX2, sixteen with AVX-512. Registers: Y0-Y3 (Z0-Z3) are
// a, b, c, d, Y4-Y6 scratch, Y7 all ones; SI the blocks (16 words of 16 lanes), DX the 64 constants. Each step rotates the
// roles of a, b, c, d (RFC 1321).

// sumUp: a += word w + constant k.
#define sumUp(a, w, k) \
	VPBROADCASTD (k*4)(DX), Y6 \
	VPADDD (w*64)(SI), a, a \
	VPADDD Y6, a, a

// turn: a = b + rotate(a, s).
#define turn(a, b, s) \
	VPSLLD $s, a, Y5 \
	VPSRLD $(32-s), a, a \
	VPOR Y5, a, a \
	VPADDD b, a, a

// F = d ^ (b & (c ^ d))
#define stepF(a, b, c, d, w, k, s) \
	VPXOR c, d, Y4 \
	sumUp(a, w, k) \
	VPAND b, Y4, Y4 \
	VPXOR d, Y4, Y4 \
	VPADDD Y4, a, a \
	turn(a, b, s)

// G = (d & b) + (^d & c): the halves have no bit in common, so that they may be added one by one.
#define stepG(a, b, c, d, w, k, s) \
	VPANDN c, d, Y4 \
	sumUp(a, w, k) \
	VPADDD Y4, a, a \
	VPAND b, d, Y5 \
	VPADDD Y5, a, a \
	turn(a, b, s)

// H = b ^ c ^ d
#define stepH(a, b, c, d, w, k, s) \
	VPXOR c, d, Y4 \
	sumUp(a, w, k) \
	VPXOR b, Y4, Y4 \
	VPADDD Y4, a, a \
	turn(a, b, s)

// I = c ^ (b | ^d)
#define stepI(a, b, c, d, w, k, s) \
	VPXOR Y7, d, Y4 \
	sumUp(a, w, k) \
	VPOR b, Y4, Y4 \
	VPXOR c, Y4, Y4 \
	VPADDD Y4, a, a \
	turn(a, b, s)

DATA md5Constants<>+0(SB)/4, $0xd76aa478
DATA md5Constants<>+4(SB)/4, $0xe8c7b756
DATA md5Constants<>+8(SB)/4, $0x242070db
DATA md5Constants<>+12(SB)/4, $0xc1bdceee
DATA md5Constants<>+16(SB)/4, $0xf57c0faf
DATA md5Constants<>+20(SB)/4, $0x4787c62a
DATA md5Constants<>+24(SB)/4, $0xa8304613
DATA md5Constants<>+28(SB)/4, $0xfd469501
DATA md5Constants<>+32(SB)/4, $0x698098d8
DATA md5Constants<>+36(SB)/4, $0x8b44f7af
DATA md5Constants<>+40(SB)/4, $0xffff5bb1
DATA md5Constants<>+44(SB)/4, $0x895cd7be
DATA md5Constants<>+48(SB)/4, $0x6b901122
DATA md5Constants<>+52(SB)/4, $0xfd987193
DATA md5Constants<>+56(SB)/4, $0xa679438e
DATA md5Constants<>+60(SB)/4, $0x49b40821
DATA md5Constants<>+64(SB)/4, $0xf61e2562
DATA md5Constants<>+68(SB)/4, $0xc040b340
DATA md5Constants<>+72(SB)/4, $0x265e5a51
DATA md5Constants<>+76(SB)/4, $0xe9b6c7aa
DATA md5Constants<>+80(SB)/4, $0xd62f105d
DATA md5Constants<>+84(SB)/4, $0x02441453
DATA md5Constants<>+88(SB)/4, $0xd8a1e681
DATA md5Constants<>+92(SB)/4, $0xe7d3fbc8
DATA md5Constants<>+96(SB)/4, $0x21e1cde6
DATA md5Constants<>+100(SB)/4, $0xc33707d6
DATA md5Constants<>+104(SB)/4, $0xf4d50d87
DATA md5Constants<>+108(SB)/4, $0x455a14ed
DATA md5Constants<>+112(SB)/4, $0xa9e3e905
DATA md5Constants<>+116(SB)/4, $0xfcefa3f8
DATA md5Constants<>+120(SB)/4, $0x676f02d9
DATA md5Constants<>+124(SB)/4, $0x8d2a4c8a
DATA md5Constants<>+128(SB)/4, $0xfffa3942
DATA md5Constants<>+132(SB)/4, $0x8771f681
DATA md5Constants<>+136(SB)/4, $0x6d9d6122
DATA md5Constants<>+140(SB)/4, $0xfde5380c
DATA md5Constants<>+144(SB)/4, $0xa4beea44
DATA md5Constants<>+148(SB)/4, $0x4bdecfa9
DATA md5Constants<>+152(SB)/4, $0xf6bb4b60
DATA md5Constants<>+156(SB)/4, $0xbebfbc70
DATA md5Constants<>+160(SB)/4, $0x289b7ec6
DATA md5Constants<>+164(SB)/4, $0xeaa127fa
DATA md5Constants<>+168(SB)/4, $0xd4ef3085
DATA md5Constants<>+172(SB)/4, $0x04881d05
DATA md5Constants<>+176(SB)/4, $0xd9d4d039
DATA md5Constants<>+180(SB)/4, $0xe6db99e5
DATA md5Constants<>+184(SB)/4, $0x1fa27cf8
DATA md5Constants<>+188(SB)/4, $0xc4ac5665
DATA md5Constants<>+192(SB)/4, $0xf4292244
DATA md5Constants<>+196(SB)/4, $0x432aff97
DATA md5Constants<>+200(SB)/4, $0xab9423a7
DATA md5Constants<>+204(SB)/4, $0xfc93a039
DATA md5Constants<>+208(SB)/4, $0x655b59c3
DATA md5Constants<>+212(SB)/4, $0x8f0ccc92
DATA md5Constants<>+216(SB)/4, $0xffeff47d
DATA md5Constants<>+220(SB)/4, $0x85845dd1
DATA md5Constants<>+224(SB)/4, $0x6fa87e4f
DATA md5Constants<>+228(SB)/4, $0xfe2ce6e0
DATA md5Constants<>+232(SB)/4, $0xa3014314
DATA md5Constants<>+236(SB)/4, $0x4e0811a1
DATA md5Constants<>+240(SB)/4, $0xf7537e82
DATA md5Constants<>+244(SB)/4, $0xbd3af235
DATA md5Constants<>+248(SB)/4, $0x2ad7d2bb
DATA md5Constants<>+252(SB)/4, $0xeb86d391
GLOBL md5Constants<>(SB), RODATA|NOPTR, $256

DATA md5Start<>+0(SB)/4, $0x67452301
DATA md5Start<>+4(SB)/4, $0xefcdab89
DATA md5Start<>+8(SB)/4, $0x98badcfe
DATA md5Start<>+12(SB)/4, $0x10325476
GLOBL md5Start<>(SB), RODATA|NOPTR, $16

// func md5x8(sums, blocks *uint32)
TEXT ·md5x8(SB), NOSPLIT, $0-16
	MOVQ sums+0(FP), DI
	MOVQ blocks+8(FP), SI
	LEAQ md5Constants<>(SB), DX
	LEAQ md5Start<>(SB), AX
	VPBROADCASTD (AX), Y0
	VPBROADCASTD 4(AX), Y1
	VPBROADCASTD 8(AX), Y2
	VPBROADCASTD 12(AX), Y3
	VPCMPEQD Y7, Y7, Y7

	stepF(Y0, Y1, Y2, Y3, 0, 0, 7)
	stepF(Y3, Y0, Y1, Y2, 1, 1, 12)
	stepF(Y2, Y3, Y0, Y1, 2, 2, 17)
	stepF(Y1, Y2, Y3, Y0, 3, 3, 22)
	stepF(Y0, Y1, Y2, Y3, 4, 4, 7)
	stepF(Y3, Y0, Y1, Y2, 5, 5, 12)
	stepF(Y2, Y3, Y0, Y1, 6, 6, 17)
	stepF(Y1, Y2, Y3, Y0, 7, 7, 22)
	stepF(Y0, Y1, Y2, Y3, 8, 8, 7)
	stepF(Y3, Y0, Y1, Y2, 9, 9, 12)
	stepF(Y2, Y3, Y0, Y1, 10, 10, 17)
	stepF(Y1, Y2, Y3, Y0, 11, 11, 22)
	stepF(Y0, Y1, Y2, Y3, 12, 12, 7)
	stepF(Y3, Y0, Y1, Y2, 13, 13, 12)
	stepF(Y2, Y3, Y0, Y1, 14, 14, 17)
	stepF(Y1, Y2, Y3, Y0, 15, 15, 22)
	stepG(Y0, Y1, Y2, Y3, 1, 16, 5)
	stepG(Y3, Y0, Y1, Y2, 6, 17, 9)
	stepG(Y2, Y3, Y0, Y1, 11, 18, 14)
	stepG(Y1, Y2, Y3, Y0, 0, 19, 20)
	stepG(Y0, Y1, Y2, Y3, 5, 20, 5)
	stepG(Y3, Y0, Y1, Y2, 10, 21, 9)
	stepG(Y2, Y3, Y0, Y1, 15, 22, 14)
	stepG(Y1, Y2, Y3, Y0, 4, 23, 20)
	stepG(Y0, Y1, Y2, Y3, 9, 24, 5)
	stepG(Y3, Y0, Y1, Y2, 14, 25, 9)
	stepG(Y2, Y3, Y0, Y1, 3, 26, 14)
	stepG(Y1, Y2, Y3, Y0, 8, 27, 20)
	stepG(Y0, Y1, Y2, Y3, 13, 28, 5)
	stepG(Y3, Y0, Y1, Y2, 2, 29, 9)
	stepG(Y2, Y3, Y0, Y1, 7, 30, 14)
	stepG(Y1, Y2, Y3, Y0, 12, 31, 20)
	stepH(Y0, Y1, Y2, Y3, 5, 32, 4)
	stepH(Y3, Y0, Y1, Y2, 8, 33, 11)
	stepH(Y2, Y3, Y0, Y1, 11, 34, 16)
	stepH(Y1, Y2, Y3, Y0, 14, 35, 23)
	stepH(Y0, Y1, Y2, Y3, 1, 36, 4)
	stepH(Y3, Y0, Y1, Y2, 4, 37, 11)
	stepH(Y2, Y3, Y0, Y1, 7, 38, 16)
	stepH(Y1, Y2, Y3, Y0, 10, 39, 23)
	stepH(Y0, Y1, Y2, Y3, 13, 40, 4)
	stepH(Y3, Y0, Y1, Y2, 0, 41, 11)
	stepH(Y2, Y3, Y0, Y1, 3, 42, 16)
	stepH(Y1, Y2, Y3, Y0, 6, 43, 23)
	stepH(Y0, Y1, Y2, Y3, 9, 44, 4)
	stepH(Y3, Y0, Y1, Y2, 12, 45, 11)
	stepH(Y2, Y3, Y0, Y1, 15, 46, 16)
	stepH(Y1, Y2, Y3, Y0, 2, 47, 23)
	stepI(Y0, Y1, Y2, Y3, 0, 48, 6)
	stepI(Y3, Y0, Y1, Y2, 7, 49, 10)
	stepI(Y2, Y3, Y0, Y1, 14, 50, 15)
	stepI(Y1, Y2, Y3, Y0, 5, 51, 21)
	stepI(Y0, Y1, Y2, Y3, 12, 52, 6)
	stepI(Y3, Y0, Y1, Y2, 3, 53, 10)
	stepI(Y2, Y3, Y0, Y1, 10, 54, 15)
	stepI(Y1, Y2, Y3, Y0, 1, 55, 21)
	stepI(Y0, Y1, Y2, Y3, 8, 56, 6)
	stepI(Y3, Y0, Y1, Y2, 15, 57, 10)
	stepI(Y2, Y3, Y0, Y1, 6, 58, 15)
	stepI(Y1, Y2, Y3, Y0, 13, 59, 21)
	stepI(Y0, Y1, Y2, Y3, 4, 60, 6)
	stepI(Y3, Y0, Y1, Y2, 11, 61, 10)
	stepI(Y2, Y3, Y0, Y1, 2, 62, 15)
	stepI(Y1, Y2, Y3, Y0, 9, 63, 21)

	// The digest is the start value plus the state.
	VPBROADCASTD (AX), Y4
	VPADDD Y4, Y0, Y0
	VPBROADCASTD 4(AX), Y4
	VPADDD Y4, Y1, Y1
	VPBROADCASTD 8(AX), Y4
	VPADDD Y4, Y2, Y2
	VPBROADCASTD 12(AX), Y4
	VPADDD Y4, Y3, Y3
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 64(DI)
	VMOVDQU Y2, 128(DI)
	VMOVDQU Y3, 192(DI)
	VZEROUPPER
	RET

// step512: any of the four functions is one truth table, by the bits of d, c, b.
#define step512(a, b, c, d, table, w, k, s) \
	VMOVDQA32 d, Z4 \
	VPADDD (w*64)(SI), a, a \
	VPADDD.BCST (k*4)(DX), a, a \
	VPTERNLOGD $table, b, c, Z4 \
	VPADDD Z4, a, a \
	VPROLD $s, a, a \
	VPADDD b, a, a

// func md5x16(sums *[4][lanes]uint32, blocks *[16][lanes]uint32)
TEXT ·md5x16(SB), NOSPLIT, $0-16
	MOVQ sums+0(FP), DI
	MOVQ blocks+8(FP), SI
	LEAQ md5Constants<>(SB), DX
	LEAQ md5Start<>(SB), AX
	VPBROADCASTD (AX), Z0
	VPBROADCASTD 4(AX), Z1
	VPBROADCASTD 8(AX), Z2
	VPBROADCASTD 12(AX), Z3
	step512(Z0, Z1, Z2, Z3, 0xd8, 0, 0, 7)
	step512(Z3, Z0, Z1, Z2, 0xd8, 1, 1, 12)
	step512(Z2, Z3, Z0, Z1, 0xd8, 2, 2, 17)
	step512(Z1, Z2, Z3, Z0, 0xd8, 3, 3, 22)
	step512(Z0, Z1, Z2, Z3, 0xd8, 4, 4, 7)
	step512(Z3, Z0, Z1, Z2, 0xd8, 5, 5, 12)
	step512(Z2, Z3, Z0, Z1, 0xd8, 6, 6, 17)
	step512(Z1, Z2, Z3, Z0, 0xd8, 7, 7, 22)
	step512(Z0, Z1, Z2, Z3, 0xd8, 8, 8, 7)
	step512(Z3, Z0, Z1, Z2, 0xd8, 9, 9, 12)
	step512(Z2, Z3, Z0, Z1, 0xd8, 10, 10, 17)
	step512(Z1, Z2, Z3, Z0, 0xd8, 11, 11, 22)
	step512(Z0, Z1, Z2, Z3, 0xd8, 12, 12, 7)
	step512(Z3, Z0, Z1, Z2, 0xd8, 13, 13, 12)
	step512(Z2, Z3, Z0, Z1, 0xd8, 14, 14, 17)
	step512(Z1, Z2, Z3, Z0, 0xd8, 15, 15, 22)
	step512(Z0, Z1, Z2, Z3, 0xac, 1, 16, 5)
	step512(Z3, Z0, Z1, Z2, 0xac, 6, 17, 9)
	step512(Z2, Z3, Z0, Z1, 0xac, 11, 18, 14)
	step512(Z1, Z2, Z3, Z0, 0xac, 0, 19, 20)
	step512(Z0, Z1, Z2, Z3, 0xac, 5, 20, 5)
	step512(Z3, Z0, Z1, Z2, 0xac, 10, 21, 9)
	step512(Z2, Z3, Z0, Z1, 0xac, 15, 22, 14)
	step512(Z1, Z2, Z3, Z0, 0xac, 4, 23, 20)
	step512(Z0, Z1, Z2, Z3, 0xac, 9, 24, 5)
	step512(Z3, Z0, Z1, Z2, 0xac, 14, 25, 9)
	step512(Z2, Z3, Z0, Z1, 0xac, 3, 26, 14)
	step512(Z1, Z2, Z3, Z0, 0xac, 8, 27, 20)
	step512(Z0, Z1, Z2, Z3, 0xac, 13, 28, 5)
	step512(Z3, Z0, Z1, Z2, 0xac, 2, 29, 9)
	step512(Z2, Z3, Z0, Z1, 0xac, 7, 30, 14)
	step512(Z1, Z2, Z3, Z0, 0xac, 12, 31, 20)
	step512(Z0, Z1, Z2, Z3, 0x96, 5, 32, 4)
	step512(Z3, Z0, Z1, Z2, 0x96, 8, 33, 11)
	step512(Z2, Z3, Z0, Z1, 0x96, 11, 34, 16)
	step512(Z1, Z2, Z3, Z0, 0x96, 14, 35, 23)
	step512(Z0, Z1, Z2, Z3, 0x96, 1, 36, 4)
	step512(Z3, Z0, Z1, Z2, 0x96, 4, 37, 11)
	step512(Z2, Z3, Z0, Z1, 0x96, 7, 38, 16)
	step512(Z1, Z2, Z3, Z0, 0x96, 10, 39, 23)
	step512(Z0, Z1, Z2, Z3, 0x96, 13, 40, 4)
	step512(Z3, Z0, Z1, Z2, 0x96, 0, 41, 11)
	step512(Z2, Z3, Z0, Z1, 0x96, 3, 42, 16)
	step512(Z1, Z2, Z3, Z0, 0x96, 6, 43, 23)
	step512(Z0, Z1, Z2, Z3, 0x96, 9, 44, 4)
	step512(Z3, Z0, Z1, Z2, 0x96, 12, 45, 11)
	step512(Z2, Z3, Z0, Z1, 0x96, 15, 46, 16)
	step512(Z1, Z2, Z3, Z0, 0x96, 2, 47, 23)
	step512(Z0, Z1, Z2, Z3, 0x63, 0, 48, 6)
	step512(Z3, Z0, Z1, Z2, 0x63, 7, 49, 10)
	step512(Z2, Z3, Z0, Z1, 0x63, 14, 50, 15)
	step512(Z1, Z2, Z3, Z0, 0x63, 5, 51, 21)
	step512(Z0, Z1, Z2, Z3, 0x63, 12, 52, 6)
	step512(Z3, Z0, Z1, Z2, 0x63, 3, 53, 10)
	step512(Z2, Z3, Z0, Z1, 0x63, 10, 54, 15)
	step512(Z1, Z2, Z3, Z0, 0x63, 1, 55, 21)
	step512(Z0, Z1, Z2, Z3, 0x63, 8, 56, 6)
	step512(Z3, Z0, Z1, Z2, 0x63, 15, 57, 10)
	step512(Z2, Z3, Z0, Z1, 0x63, 6, 58, 15)
	step512(Z1, Z2, Z3, Z0, 0x63, 13, 59, 21)
	step512(Z0, Z1, Z2, Z3, 0x63, 4, 60, 6)
	step512(Z3, Z0, Z1, Z2, 0x63, 11, 61, 10)
	step512(Z2, Z3, Z0, Z1, 0x63, 2, 62, 15)
	step512(Z1, Z2, Z3, Z0, 0x63, 9, 63, 21)
	VPADDD.BCST (AX), Z0, Z0
	VPADDD.BCST 4(AX), Z1, Z1
	VPADDD.BCST 8(AX), Z2, Z2
	VPADDD.BCST 12(AX), Z3, Z3
	VMOVDQU32 Z0, (DI)
	VMOVDQU32 Z1, 64(DI)
	VMOVDQU32 Z2, 128(DI)
	VMOVDQU32 Z3, 192(DI)
	VZEROUPPER
	RET
