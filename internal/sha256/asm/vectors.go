package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The schedules of eight blocks are computed at once (FIPS 180-4 §6.2.2, step 1), as
// many as 32-bit words fit into a YMM register. A row is the same word of each.
const (
	blocks = 8
	row    = 4 * blocks
)

var y = [32]VecPhysical{
	Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15,
	Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27, Y28, Y29, Y30, Y31,
}

type tables struct{ constants, order Mem }

func newTables() tables {
	var t tables
	t.constants = GLOBL("constants", RODATA|NOPTR) // §4.2.2
	for i, k := range [64]uint32{
		0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
		0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
		0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
		0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
		0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	} {
		DATA(4*i, U32(k))
	}
	t.order = GLOBL("order", RODATA|NOPTR) // turns the octets of each word around
	for lane := range blocks {
		DATA(4*lane, U32(0x00010203+uint32(lane%4)*0x04040404))
	}
	return t
}

// vectors are the arguments of a function that computes schedules.
type vectors struct {
	tables
	sums, constants, p Register
}

func begin(t tables, instructions string) vectors {
	TEXT("schedule"+instructions, 0, "func(sums *[64][8]uint32, p *[512]byte)")
	Doc("schedule" + instructions + " computes the schedules of the eight blocks at p, and adds the constants of the rounds.")
	Pragma("noescape")
	v := vectors{t, RDI, RDX, RSI}
	Load(Param("sums"), v.sums)
	Load(Param("p"), v.p)
	LEAQ(t.constants, v.constants)
	return v
}

func (v vectors) constant(t int) Mem { return Mem{Base: v.constants, Disp: 4 * t} }
func (v vectors) sum(t int) Mem      { return Mem{Base: v.sums, Disp: row * t} }

// load reads the rows 4·quarter to 4·quarter+3, which are words of the blocks, into out.
func (v vectors) load(quarter int, out []VecPhysical) {
	for i := range 4 { // the four words of blocks i and i+4
		VMOVDQU(Mem{Base: v.p, Disp: 64*i + 16*quarter}, y[i].(Vec).AsX())
		VINSERTI128(Imm(1), Mem{Base: v.p, Disp: 64*(i+4) + 16*quarter}, y[i], y[i])
		VPSHUFB(v.order, y[i], y[i])
	}
	VPUNPCKLDQ(y[1], y[0], y[4])
	VPUNPCKHDQ(y[1], y[0], y[5])
	VPUNPCKLDQ(y[3], y[2], y[6])
	VPUNPCKHDQ(y[3], y[2], y[7])
	VPUNPCKLQDQ(y[6], y[4], out[0])
	VPUNPCKHQDQ(y[6], y[4], out[1])
	VPUNPCKLQDQ(y[7], y[5], out[2])
	VPUNPCKHQDQ(y[7], y[5], out[3])
}

// scheduleAVX512 has an instruction for rotating and one for the sum of three, and keeps
// the last sixteen rows in the registers that AVX-512 added.
func scheduleAVX512(t tables) {
	v := begin(t, "AVX512")
	rows := y[16:]
	store := func(t int) {
		VPADDD_BCST(v.constant(t), rows[t], y[3])
		VMOVDQU(y[3], v.sum(t))
	}
	for quarter := range 4 {
		v.load(quarter, rows[4*quarter:])
	}
	for t := range 16 {
		store(t)
	}
	sigma := func(x VecPhysical, r1, r2, shift uint64) VecPhysical {
		VPRORD(Imm(r1), x, y[0])
		VPRORD(Imm(r2), x, y[1])
		VPSRLD(Imm(shift), x, y[2])
		VPTERNLOGD(Imm(0x96), y[0], y[1], y[2]) // exclusive or
		return y[2]
	}
	v.loop(func() {
		for t, r := range rows { // until now it is row t-16
			VPADDD(sigma(rows[(t+1)%16], 7, 18, 3), r, r)
			VPADDD(rows[(t+9)%16], r, r)
			VPADDD(sigma(rows[(t+14)%16], 17, 19, 10), r, r)
			store(t)
		}
	})
	VZEROUPPER()
	RET()
}

// loop computes the rows behind the first sixteen, as many to a turn. It is short, as
// the rounds are, so that the code of both stays decoded.
func (v vectors) loop(turn func()) {
	turns := v.p // is read
	MOVQ(U32(64/16-1), turns)
	Label("turn")
	ADDQ(Imm(4*16), v.constants)
	ADDQ(U32(row*16), v.sums)
	turn()
	DECQ(turns)
	JNE(LabelRef("turn"))
}

// scheduleAVX2 has registers for the last four rows, and the others in memory.
func scheduleAVX2(t tables) {
	v := begin(t, "AVX2")
	local := AllocLocal(64 * row)
	rows := Mem{Base: RCX}
	LEAQ(local, RCX)
	recent := y[8:12] // row t in t%4
	store := func(t, place int) {
		VMOVDQU(recent[t%4], rows.Offset(row*place))
		VPBROADCASTD(v.constant(t), y[7])
		VPADDD(y[7], recent[t%4], y[7])
		VMOVDQU(y[7], v.sum(t))
	}
	for quarter := range 4 {
		v.load(quarter, recent)
		for i := range 4 {
			store(4*quarter+i, 4*quarter+i)
		}
	}
	sigma := func(x VecPhysical, r1, r2, shift uint64) VecPhysical {
		VPSRLD(Imm(shift), x, y[0])
		for i, r := range []uint64{r1, r2} {
			VPSRLD(Imm(r), x, y[1+2*i])
			VPSLLD(Imm(32-r), x, y[2+2*i])
		}
		VPXOR(y[1], y[0], y[0])
		VPXOR(y[2], y[3], y[3])
		VPXOR(y[4], y[0], y[0])
		VPXOR(y[3], y[0], y[0])
		return y[0]
	}
	v.loop(func() {
		for t := range 16 { // row t-16 is at place t
			r := recent[t%4]
			VMOVDQU(rows.Offset(row*(t+1)), y[5])
			VPADDD(rows.Offset(row*t), sigma(y[5], 7, 18, 3), r)
			VPADDD(rows.Offset(row*(t+9)), r, r)
			VPADDD(sigma(recent[(t+2)%4], 17, 19, 10), r, r)
			store(t, t+16)
		}
		ADDQ(U32(row*16), RCX)
	})
	VZEROUPPER()
	RET()
}
