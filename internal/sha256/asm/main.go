// Command asm writes block_amd64.s, the assembly of internal/sha256; go generate runs it.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,gc,!purego")
	t := newTables()
	scheduleAVX512(t)
	scheduleAVX2(t)
	rounds()

	TEXT("hasSHA", NOSPLIT, "func() bool")
	Doc("hasSHA tells whether the processor has the SHA extensions: CPUID leaf 7, EBX bit 29.")
	MOVL(U32(7), EAX)
	XORL(ECX, ECX)
	CPUID()
	SHRL(Imm(29), EBX)
	ANDL(Imm(1), EBX)
	Store(BL, ReturnIndex(0))
	RET()

	Generate()
}
