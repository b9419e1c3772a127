package pdf

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// words are numbers of two bytes.
func words(list ...uint16) (b []byte) {
	for _, n := range list {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

// small is a font of four glyphs: none, A, B, and one that is made of both. A and
// B are the characters of the same names, and the third is U+20BB7.
func small() []table {
	outline := append(words(1, 0, 0, 100, 100), 1, 2, 3, 4)
	both := append(words(0xFFFF, 0, 0, 100, 100), words(partMore|partWords, 1, 0, 0, 0, 2, 0)...)
	glyf := slices.Concat(outline, outline, outline, both)
	head := make([]byte, 54)
	binary.BigEndian.PutUint16(head[18:], 1000)
	binary.BigEndian.PutUint16(head[50:], 1)
	hhea := make([]byte, 36)
	binary.BigEndian.PutUint16(hhea[34:], 2)
	var loca []byte
	for _, at := range []uint32{0, 14, 28, 42, uint32(len(glyf))} {
		loca = binary.BigEndian.AppendUint32(loca, at)
	}
	basic := words(4, 32, 0, 4, 0, 0, 0, 'B', 0xFFFF, 0, 'A', 0xFFFF, 0xFFC0, 1, 0, 0) // 'A' + 0xFFC0 is 1
	all := words(12, 0, 0, 40, 0, 0, 0, 2, 0, 'A', 0, 'B', 0, 1, 2, 0x0BB7, 2, 0x0BB7, 0, 3)
	cmap := slices.Concat(words(0, 2, 3, 1, 0, 20, 3, 10, 0, uint16(20+len(basic))), basic, all)
	return []table{
		{"cmap", cmap}, {"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", words(300, 0, 600, 0, 0, 0)}, {"loca", loca}, {"maxp", words(1, 0, 4)},
	}
}

func TestFont(t *testing.T) {
	f, err := ParseFont(join(small()))
	if err != nil {
		t.Fatal(err)
	}
	for r, want := range map[rune]uint16{'A': 1, 'B': 2, 'C': 0, 0x20BB7: 3} {
		if got := f.glyph(r); got != want {
			t.Errorf("%c is glyph %d, want %d", r, got, want)
		}
	}
	if f.width(0) != 300 || f.width(1) != 600 || f.width(3) != 600 {
		t.Errorf("widths %d, %d, %d", f.width(0), f.width(1), f.width(3))
	}
	tables := small()
	tables[0].data = slices.Concat(words(0, 1, 3, 1, 0, 12), tables[0].data[20:52])
	if f, err = ParseFont(join(tables)); err != nil || f.glyph('B') != 2 || f.glyph('C') != 0 || f.glyph(0x20BB7) != 0 {
		t.Errorf("with format 4 alone: %v", err)
	}
}

// TestSubset holds that what a glyph is made of comes along, and nothing else.
func TestSubset(t *testing.T) {
	f, err := ParseFont(join(small()))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		used uint16
		kept []uint16
	}{{1, []uint16{0, 1}}, {2, []uint16{0, 2}}, {3, []uint16{0, 1, 2, 3}}} {
		data := f.subset(map[uint16]rune{tc.used: 'x'})
		data = join(append([]table{{"cmap", f.tables["cmap"]}}, tablesOf(t, data)...))
		cut, err := ParseFont(data)
		if err != nil {
			t.Fatal(err)
		}
		for glyph := range uint16(4) {
			if has := len(cut.outline(glyph)) > 0; has != slices.Contains(tc.kept, glyph) {
				t.Errorf("with glyph %d used, glyph %d is there: %v", tc.used, glyph, has)
			}
		}
	}
}

// tablesOf takes a file apart that join wrote.
func tablesOf(t *testing.T, data []byte) (list []table) {
	t.Helper()
	f := &Font{data: data, tables: map[string][]byte{"cmap": make([]byte, 4)}}
	if err := f.directory(); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"glyf", "head", "hhea", "hmtx", "loca", "maxp"} {
		list = append(list, table{tag, f.tables[tag]})
	}
	return list
}

func TestNoFont(t *testing.T) {
	whole := join(small())
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("this is no font at all"), "collection": append([]byte("ttcf"), whole...), "outlines of CFF": append([]byte("OTTO"), whole[4:]...),
		"cut off": whole[:len(whole)-60], "directory cut off": whole[:40],
	} {
		if _, err := ParseFont(data); !errors.Is(err, ErrNoFont) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseFont(make([]byte, MaxFont+1)); !errors.Is(err, ErrNoFont) {
		t.Errorf("too large: %v", err)
	}
	for i, table := range small() {
		tables := small()
		tables = slices.Delete(tables, i, i+1)
		if _, err := ParseFont(join(tables)); !errors.Is(err, ErrNoFont) {
			t.Errorf("without %s: %v", table.tag, err)
		}
	}
}

func FuzzParseFont(f *testing.F) {
	f.Add(join(small()), "AB𠮷")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		font, err := ParseFont(data)
		if err != nil {
			return
		}
		face := face{font: font, used: map[uint16]rune{}}
		shown, err := face.shown(text)
		if err != nil {
			t.Fatal(err)
		}
		face.wrap(shown, 100_000)
		face.code(nil, shown)
		font.box()
		if cut := font.subset(face.used); len(cut) > len(data)+4*font.glyphs+1024+3*len(face.used)+maxParts*maxParts*len(data) {
			t.Errorf("%d bytes became %d", len(data), len(cut))
		}
	})
}
