package pdf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Limits of a font file. It is the operator's, but a wrong path must end in an
// error.
const (
	MaxFont   = 64 << 20 // bytes
	maxTables = 64
	maxParts  = 32 // of a glyph that is made of others, and how deep they nest
)

// ErrNoFont: the bytes are not a font that can be embedded.
var ErrNoFont = errors.New("not a TrueType font")

// Font is a TrueType font (ISO/IEC 14496-22) with outlines in a glyf table. It is
// for one report at a time.
type Font struct {
	data   []byte
	tables map[string][]byte
	glyphs int // how many there are
	units  int // of the em
	wide   int // how many have a width of their own in hmtx
	long   bool
	cmap   func(rune) uint16
	known  map[rune]uint16 // what was asked for
}

// ParseFont reads a font. The bytes stay its own.
func ParseFont(data []byte) (*Font, error) {
	if len(data) > MaxFont {
		return nil, fmt.Errorf("%w: larger than %d MiB", ErrNoFont, MaxFont>>20)
	}
	f := &Font{data: data, tables: map[string][]byte{}, known: map[rune]uint16{}}
	if err := f.directory(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFont, err)
	}
	if err := f.measures(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFont, err)
	}
	var err error
	if f.cmap, err = characters(f.tables["cmap"]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFont, err)
	}
	return f, nil
}

// directory finds the tables.
func (f *Font) directory() error {
	if len(f.data) < 12 {
		return errors.New("too short")
	}
	switch binary.BigEndian.Uint32(f.data) {
	case 0x00010000, 0x74727565: // 1.0, "true"
	case 0x4F54544F: // "OTTO"
		return errors.New("its outlines are those of CFF; take a font with a glyf table")
	case 0x74746366: // "ttcf"
		return errors.New("it is a collection; take a file with a single font")
	default:
		return errors.New("unknown beginning")
	}
	n := int(binary.BigEndian.Uint16(f.data[4:]))
	if n > maxTables || len(f.data) < 12+16*n {
		return errors.New("its directory is damaged")
	}
	for i := range n {
		entry := f.data[12+16*i:][:16]
		from, length := uint64(binary.BigEndian.Uint32(entry[8:])), uint64(binary.BigEndian.Uint32(entry[12:]))
		if from+length > uint64(len(f.data)) {
			return fmt.Errorf("table %q reaches beyond the end", entry[:4])
		}
		f.tables[string(entry[:4])] = f.data[from : from+length]
	}
	for _, table := range []struct {
		tag   string
		least int
	}{{"head", 54}, {"hhea", 36}, {"maxp", 6}, {"hmtx", 4}, {"loca", 4}, {"glyf", 0}, {"cmap", 4}} {
		if len(f.tables[table.tag]) < table.least || f.tables[table.tag] == nil {
			return fmt.Errorf("table %q is missing or too short", table.tag)
		}
	}
	return nil
}

// measures reads how many glyphs there are, and how they are measured.
func (f *Font) measures() error {
	f.units = int(binary.BigEndian.Uint16(f.tables["head"][18:]))
	f.long = binary.BigEndian.Uint16(f.tables["head"][50:]) != 0
	f.glyphs = int(binary.BigEndian.Uint16(f.tables["maxp"][4:]))
	f.wide = int(binary.BigEndian.Uint16(f.tables["hhea"][34:]))
	size := 2
	if f.long {
		size = 4
	}
	switch {
	case f.units < 16 || f.units > 16384:
		return errors.New("the size of its em is damaged")
	case f.glyphs == 0 || f.wide == 0 || f.wide > f.glyphs:
		return errors.New("it has no glyphs")
	case len(f.tables["hmtx"]) < 4*f.wide || len(f.tables["loca"]) < size*(f.glyphs+1):
		return errors.New("its glyphs are cut off")
	}
	return nil
}

// characters reads the best table from characters to glyphs (format 12, which
// has all of Unicode, before format 4).
func characters(cmap []byte) (func(rune) uint16, error) {
	n := int(binary.BigEndian.Uint16(cmap[2:]))
	if len(cmap) < 4+8*n {
		return nil, errors.New("its table of characters is damaged")
	}
	var found func(rune) uint16
	for i := range n {
		platform, from := binary.BigEndian.Uint16(cmap[4+8*i:]), uint64(binary.BigEndian.Uint32(cmap[8+8*i:]))
		if platform != 0 && platform != 3 || from+16 > uint64(len(cmap)) {
			continue
		}
		table := cmap[from:]
		switch binary.BigEndian.Uint16(table) {
		case 12:
			if lookup := segmented(table); lookup != nil {
				return lookup, nil
			}
		case 4:
			if lookup := basic(table); lookup != nil && found == nil {
				found = lookup
			}
		}
	}
	if found == nil {
		return nil, errors.New("it has no table of Unicode characters")
	}
	return found, nil
}

// segmented is a table of format 12.
func segmented(table []byte) func(rune) uint16 {
	n := uint64(binary.BigEndian.Uint32(table[12:]))
	if uint64(len(table)) < 16+12*n {
		return nil
	}
	return func(r rune) uint16 {
		low, high := uint64(0), n
		for low < high {
			middle := (low + high) / 2
			group := table[16+12*middle:]
			switch first, last := binary.BigEndian.Uint32(group), binary.BigEndian.Uint32(group[4:]); {
			case uint32(r) < first:
				high = middle
			case uint32(r) > last:
				low = middle + 1
			default:
				return uint16(binary.BigEndian.Uint32(group[8:]) + uint32(r) - first)
			}
		}
		return 0
	}
}

// basic is a table of format 4: characters up to U+FFFF.
func basic(table []byte) func(rune) uint16 {
	n := int(binary.BigEndian.Uint16(table[6:])) / 2
	if len(table) < 16+8*n {
		return nil
	}
	ends, starts := table[14:], table[16+2*n:]
	deltas, offsets := table[16+4*n:], table[16+6*n:]
	return func(r rune) uint16 {
		if r > 0xFFFF {
			return 0
		}
		c := uint16(r)
		for i := range n {
			if binary.BigEndian.Uint16(ends[2*i:]) < c {
				continue
			}
			start := binary.BigEndian.Uint16(starts[2*i:])
			if c < start {
				return 0
			}
			delta, offset := binary.BigEndian.Uint16(deltas[2*i:]), int(binary.BigEndian.Uint16(offsets[2*i:]))
			if offset == 0 {
				return c + delta
			}
			at := 2*i + offset + 2*int(c-start)
			if at+2 > len(offsets) {
				return 0
			}
			if glyph := binary.BigEndian.Uint16(offsets[at:]); glyph != 0 {
				return glyph + delta
			}
			return 0
		}
		return 0
	}
}

// glyph is the glyph of a character, 0 where the font has none.
func (f *Font) glyph(r rune) uint16 {
	glyph, ok := f.known[r]
	if !ok {
		if glyph = f.cmap(r); int(glyph) >= f.glyphs {
			glyph = 0
		}
		f.known[r] = glyph
	}
	return glyph
}

// width is how far a glyph advances, in thousandths of the em.
func (f *Font) width(glyph uint16) int {
	i := min(int(glyph), f.wide-1)
	return int(binary.BigEndian.Uint16(f.tables["hmtx"][4*i:])) * 1000 / f.units
}

// outline is the description of a glyph, empty where it has none.
func (f *Font) outline(glyph uint16) []byte {
	loca, glyf := f.tables["loca"], f.tables["glyf"]
	var from, to uint64
	if f.long {
		from, to = uint64(binary.BigEndian.Uint32(loca[4*int(glyph):])), uint64(binary.BigEndian.Uint32(loca[4*int(glyph)+4:]))
	} else {
		from, to = 2*uint64(binary.BigEndian.Uint16(loca[2*int(glyph):])), 2*uint64(binary.BigEndian.Uint16(loca[2*int(glyph)+2:]))
	}
	if from >= to || to > uint64(len(glyf)) {
		return nil
	}
	return glyf[from:to]
}

// Flags of the parts of a glyph that is made of others (glyf, "Composite glyph
// description").
const (
	partWords     = 0x0001
	partScale     = 0x0008
	partMore      = 0x0020
	partScales    = 0x0040
	partTwoByTwo  = 0x0080
	glyphIsParts  = 0x8000 // the sign of numberOfContours
	glyphHeadSize = 10
)

// parts are the glyphs of which one is made.
func (f *Font) parts(glyph uint16) (list []uint16) {
	b := f.outline(glyph)
	if len(b) < glyphHeadSize || binary.BigEndian.Uint16(b)&glyphIsParts == 0 {
		return nil
	}
	for b = b[glyphHeadSize:]; len(b) >= 4 && len(list) < maxParts; {
		flags, part := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if int(part) < f.glyphs {
			list = append(list, part)
		}
		size := 6
		if flags&partWords != 0 {
			size = 8
		}
		switch {
		case flags&partScale != 0:
			size += 2
		case flags&partScales != 0:
			size += 4
		case flags&partTwoByTwo != 0:
			size += 8
		}
		if flags&partMore == 0 || len(b) < size {
			break
		}
		b = b[size:]
	}
	return list
}

// subset is the font with the outlines of these glyphs alone, and those of which
// they are made. Glyphs keep their numbers.
func (f *Font) subset(used map[uint16]rune) []byte {
	keep := map[uint16]bool{0: true}
	next := slices.Collect(maps.Keys(used))
	for range maxParts {
		var more []uint16
		for _, glyph := range next {
			if !keep[glyph] {
				keep[glyph] = true
				more = append(more, f.parts(glyph)...)
			}
		}
		if next = more; len(next) == 0 {
			break
		}
	}
	var glyf []byte
	loca := make([]byte, 0, 4*(f.glyphs+1))
	for i := range f.glyphs {
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		if keep[uint16(i)] || i == 0 {
			glyf = append(glyf, f.outline(uint16(i))...)
			glyf = append(glyf, make([]byte, -len(glyf)&3)...)
		}
	}
	loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
	head := slices.Clone(f.tables["head"])
	binary.BigEndian.PutUint16(head[50:], 1) // the places above have four bytes
	return join([]table{
		{"cvt ", f.tables["cvt "]}, {"fpgm", f.tables["fpgm"]}, {"glyf", glyf}, {"head", head}, {"hhea", f.tables["hhea"]},
		{"hmtx", f.tables["hmtx"]}, {"loca", loca}, {"maxp", f.tables["maxp"]}, {"prep", f.tables["prep"]},
	})
}

// table is one table of a font file.
type table struct {
	tag  string
	data []byte
}

// join writes a font file of tables that are in the order of their tags.
func join(tables []table) []byte {
	tables = slices.DeleteFunc(tables, func(t table) bool { return t.data == nil })
	n := len(tables)
	power := 1
	selector := 0
	for power*2 <= n {
		power, selector = power*2, selector+1
	}
	b := binary.BigEndian.AppendUint32(nil, 0x00010000)
	for _, field := range []int{n, 16 * power, selector, 16 * (n - power)} {
		b = binary.BigEndian.AppendUint16(b, uint16(field))
	}
	at := 12 + 16*n
	for _, t := range tables {
		b = append(b, t.tag...)
		for _, field := range []uint32{checksum(t.data), uint32(at), uint32(len(t.data))} {
			b = binary.BigEndian.AppendUint32(b, field)
		}
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		b = append(b, t.data...)
		b = append(b, make([]byte, -len(t.data)&3)...)
	}
	return b
}

// checksum is that of a table: the sum of its words.
func checksum(data []byte) (sum uint32) {
	for len(data) >= 4 {
		sum += binary.BigEndian.Uint32(data)
		data = data[4:]
	}
	var last [4]byte
	copy(last[:], data)
	return sum + binary.BigEndian.Uint32(last[:])
}

// box is around all glyphs, in thousandths of the em: left, bottom, right, top.
func (f *Font) box() (box [4]int) {
	for i := range box {
		box[i] = int(int16(binary.BigEndian.Uint16(f.tables["head"][36+2*i:]))) * 1000 / f.units
	}
	return box
}

// FontPackage is the Debian package of a font with Japanese letters that can be
// embedded, and UsualFonts is where that and others put theirs.
const FontPackage = "fonts-ipaexfont-gothic"

// UsualFonts are looked at in this order.
var UsualFonts = []string{
	"/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
	"/usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf",
	"/usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf",
}
