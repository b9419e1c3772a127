// Command asm writes block_amd64.s, the assembly of internal/cbc; go generate runs it.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,gc,!purego")
	for _, bits := range []int{128, 192, 256} {
		encrypt(bits)
	}
	subWord()
	Generate()
}

// encrypt chains blocks (SP 800-38A §6.2), and each waits for the one before: what lies
// between two of them is the time that it takes, and that is the rounds alone. For the
// last round ends with the addition of its key (FIPS 197 §5.1), and given a key to which
// the next block and its first key are added already, it goes from the state of one
// block to that of the next. The ciphertext is computed aside.
func encrypt(bits int) {
	TEXT(fmt.Sprintf("encrypt%d", bits), NOSPLIT, "func(iv *[16]byte, dst, src *byte, blocks int, keys *[60]uint32)")
	Doc(fmt.Sprintf("encrypt%d encrypts one block or more, and leaves the last at iv.", bits))
	Pragma("noescape")
	var (
		rounds           = bits/32 + 6 // FIPS 197 §5, table 3
		iv, dst, src     = Register(RAX), Register(RDI), Register(RSI)
		blocks           = Register(RCX)
		keys             = Mem{Base: RDX}
		last             = keys.Offset(16 * rounds)
		round            = []VecPhysical{X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12}[:rounds-1]
		both, state, out = X13, X14, X15
	)
	Load(Param("iv"), iv)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("blocks"), blocks)
	Load(Param("keys"), RDX)
	for i, key := range round {
		VMOVDQU(keys.Offset(16*(i+1)), key)
	}
	VMOVDQU(keys, both)
	VPXOR(Mem{Base: iv}, both, state)
	VPXOR(Mem{Base: src}, state, state)
	VPXOR(last, both, both)

	Label("block")
	for _, key := range round {
		VAESENC(key, state, state)
	}
	VAESENCLAST(last, state, out)
	VMOVDQU(out, Mem{Base: dst})
	DECQ(blocks)
	JE(LabelRef("end"))
	VPXOR(Mem{Base: src, Disp: 16}, both, out)
	VAESENCLAST(out, state, state)
	ADDQ(Imm(16), src)
	ADDQ(Imm(16), dst)
	JMP(LabelRef("block"))

	Label("end")
	VMOVDQU(out, Mem{Base: iv})
	RET()
}

// subWord has one instruction look the octets up, in constant time.
func subWord() {
	TEXT("subWord", NOSPLIT, "func(word uint32) uint32")
	Doc("subWord is SUBWORD (FIPS 197 §5.2).")
	VBROADCASTSS(NewParamAddr("word", 0), X0)
	VAESKEYGENASSIST(Imm(0), X0, X0)
	VMOVD(X0, EAX)
	Store(EAX, ReturnIndex(0))
	RET()
}
