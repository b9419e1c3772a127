package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// roundsPerTurn is how many rounds have code of their own.
const roundsPerTurn = 16

// letters are a to h before the first round. A round changes d and h, and then a is
// called b and so on: the names move, the registers stay.
var letters = [8]Register{EAX, EBX, ECX, EDX, R8L, R9L, R10L, R11L}

// rounds compresses blocks (FIPS 180-4 §6.2.2, steps 2 to 4).
//
// Ch(e,f,g) is (e∧(f⊕g))⊕g, and Maj(a,b,c) is ((a⊕b)∧(b⊕c))⊕b. What is e⊕f and a⊕b in
// one round is f⊕g and b⊕c in the next. Σ0(a) is added to the new a in the next round
// only, which shortens the way from one a to the next. Sums are LEAs: RORX cannot take
// the units that execute these. The order is the fastest that was found by trying some
// thousands.
func rounds() {
	TEXT("rounds", NOSPLIT, "func(state *[8]uint32, sums *[64][8]uint32, n int)")
	Doc("rounds compresses the first n of the blocks whose schedules sums has.")
	Pragma("noescape")
	var (
		t0, t1    = Register(ESI), Register(EDI) // t1 is Σ0 between rounds
		ab, bc    = Register(R12L), Register(EBP)
		ef, fg    = Register(R14L), Register(R13L)
		state     = Register(RSI)
		word, end = Register(R15), AllocLocal(8)
	)
	Load(Param("sums"), word)
	LEAQ(Mem{Base: word, Disp: 64 * row}, state)
	MOVQ(state, end)
	Load(Param("state"), state)
	for i, l := range letters {
		MOVL(Mem{Base: state, Disp: 4 * i}, l)
	}

	Label("block")
	MOVL(letters[1], bc)
	XORL(letters[2], bc)
	MOVL(letters[5], fg)
	XORL(letters[6], fg)
	XORL(t1, t1)

	Label("turn")
	for t := range roundsPerTurn {
		at := func(i int) Register { return letters[(i-t+roundsPerTurn)%8] }
		a, b, d, e, f, g, h := at(0), at(1), at(3), at(4), at(5), at(6), at(7)
		ADDL(Mem{Base: word, Disp: row * t}, h)
		add(t1, a)
		RORXL(Imm(25), e, t0)
		RORXL(Imm(11), e, t1)
		ANDL(e, fg)
		XORL(t1, t0)
		XORL(g, fg)
		MOVL(a, ab)
		RORXL(Imm(6), e, t1)
		add(fg, h)
		XORL(t1, t0)
		add(t0, h)
		MOVL(e, ef)
		XORL(b, ab)
		ANDL(ab, bc)
		add(h, d)
		RORXL(Imm(13), a, t1)
		RORXL(Imm(22), a, t0)
		XORL(t0, t1)
		XORL(b, bc)
		XORL(f, ef)
		RORXL(Imm(2), a, t0)
		XORL(t0, t1)
		add(bc, h)
		ab, bc = bc, ab
		ef, fg = fg, ef
	}
	ADDQ(U32(roundsPerTurn*row), word)
	CMPQ(word, end)
	JNE(LabelRef("turn"))

	add(t1, letters[0])
	Load(Param("state"), state)
	for i, l := range letters {
		ADDL(Mem{Base: state, Disp: 4 * i}, l)
		MOVL(l, Mem{Base: state, Disp: 4 * i})
	}
	SUBQ(U32(64*row-4), word) // the next block's column
	ADDQ(Imm(4), end)
	DECQ(NewParamAddr("n", 16))
	JNE(LabelRef("block"))
	RET()
}

// add adds to sum by LEA.
func add(term, sum Register) {
	LEAL(Mem{Base: sum.(GPPhysical).As64(), Index: term.(GPPhysical).As64(), Scale: 1}, sum)
}
