package pdf

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// file writes the objects of a document as they come (ISO 32000-1 §7.5).
type file struct {
	w       io.Writer
	at      int64
	offsets []int64 // of objects; 0: not written yet
	err     error
}

func (f *file) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.w.Write(p)
	f.at += int64(n)
	f.err = err
	return n, err
}

func (f *file) printf(format string, args ...any) { fmt.Fprintf(f, format, args...) } // its error stays with the file

// reserve takes the number of an object that is written later.
func (f *file) reserve() int {
	f.offsets = append(f.offsets, 0)
	return len(f.offsets)
}

// object writes one.
func (f *file) object(number int, format string, args ...any) {
	f.offsets[number-1] = f.at
	f.printf("%d 0 obj\n", number)
	f.printf(format, args...)
	f.printf("\nendobj\n")
}

// stream writes an object with bytes, compressed; rest is what its dictionary
// has besides.
func (f *file) stream(number int, rest string, data []byte) {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(data) // a buffer takes everything
	_ = z.Close()        // likewise
	f.offsets[number-1] = f.at
	f.printf("%d 0 obj\n<</Length %d/Filter/FlateDecode%s>>\nstream\n", number, b.Len(), rest)
	_, _ = f.Write(b.Bytes()) // its error stays with the file
	f.printf("\nendstream\nendobj\n")
}

// end writes where the objects are.
func (f *file) end(root, info int) {
	at := f.at
	f.printf("xref\n0 %d\n0000000000 65535 f \n", len(f.offsets)+1)
	for _, offset := range f.offsets {
		f.printf("%010d 00000 n \n", offset)
	}
	f.printf("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(f.offsets)+1, root, info, at)
}

// text is a string of a dictionary: UTF-16 with a byte order mark (§7.9.2.2).
func text(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", unit)
	}
	b.WriteByte('>')
	return b.String()
}

// moment is a date (§7.9.4).
func moment(at time.Time) string { return at.UTC().Format("(D:20060102150405Z)") }

// writeFace writes the font object of a face; what it is made of takes numbers
// of its own.
func (f *file) writeFace(number int, face *face) {
	if face.font == nil {
		f.object(number, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>")
		return
	}
	const name = "MSEALA+Report"
	descendant, descriptor, outlines, unicode := f.reserve(), f.reserve(), f.reserve(), f.reserve()
	f.object(number, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, descendant, unicode)
	glyphs := slices.SortedFunc(maps.Keys(face.used), cmp.Compare[uint16])
	var widths strings.Builder
	for _, glyph := range glyphs {
		fmt.Fprintf(&widths, "%d[%d]", glyph, face.font.width(glyph))
	}
	f.object(descendant, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/DW 1000/W[%s]>>",
		name, descriptor, widths.String())
	box := face.font.box()
	f.object(descriptor, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d/CapHeight %d/StemV 80/FontFile2 %d 0 R>>",
		name, box[0], box[1], box[2], box[3], box[3], box[1], box[3], outlines)
	program := face.font.subset(face.used)
	f.stream(outlines, fmt.Sprintf("/Length1 %d", len(program)), program)
	f.stream(unicode, "", readBack(face.used, glyphs))
}

// readBack is the map from glyphs to characters, by which text is searched and
// copied (§9.10.3); at most 100 lines stand in one block.
func readBack(used map[uint16]rune, glyphs []uint16) []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n" +
		"/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n1 begincodespacerange<0000><FFFF>endcodespacerange\n")
	for block := range slices.Chunk(glyphs, 100) {
		fmt.Fprintf(&b, "%d beginbfchar\n", len(block))
		for _, glyph := range block {
			fmt.Fprintf(&b, "<%04X><", glyph)
			for _, unit := range utf16.Encode([]rune{used[glyph]}) {
				fmt.Fprintf(&b, "%04X", unit)
			}
			b.WriteString(">\n")
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap CMapName currentdict/CMap defineresource pop end end\n")
	return b.Bytes()
}
