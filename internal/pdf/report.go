package pdf

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Options say what a report is about. Every field is needed unless it says
// otherwise.
type Options struct {
	Title    string
	Facts    []string // lines below the title: whose it is, of when, how many
	Columns  []Column
	Font     *Font // nil: Helvetica
	Language string
	At       time.Time // of making it
	Page     string    // what stands before the number of a page; may be empty
	Large    bool      // A3 instead of A4: for many columns
}

// Column is one of the table's.
type Column struct {
	Head  string
	Share int // of the width, beside the shares of the others
}

// Measures of a page, in points: 1/72 of an inch.
const (
	longSide    = 841.89 // of A4
	shortSide   = 595.28
	large       = 1.41421356 // how much longer the sides of A3 are
	margin      = 40
	titleSize   = 16
	factSize    = 9
	cellSize    = 8
	leading     = 11 // of lines of the table
	cellPadding = 4
	footer      = 24 // of the number of the page, from below
)

// Report is a table on pages that lie on their long side. Close ends it.
type Report struct {
	file   file
	o      Options
	face   face
	width  float64 // of a page
	height float64
	edges  []float64 // where columns begin, and the last one ends
	heads  [][]string

	page  []byte // what is drawn on the present page
	y     float64
	pages []int // numbers of their objects

	tree, fontObject, total int // numbers of objects that are written at the end
	err                     error
}

// NewReport begins one.
func NewReport(w io.Writer, o Options) (*Report, error) {
	r := &Report{file: file{w: w}, o: o, face: face{font: o.Font, used: map[uint16]rune{}}, width: longSide, height: shortSide}
	if o.Large {
		r.width, r.height = large*longSide, large*shortSide
	}
	if err := r.layOut(); err != nil {
		return nil, err
	}
	if _, err := r.face.shown(o.Page); err != nil {
		return nil, err
	}
	r.file.printf("%%PDF-1.7\n%%\xE2\xE3\xCF\xD3\n")
	r.tree, r.fontObject, r.total = r.file.reserve(), r.file.reserve(), r.file.reserve()
	r.begin()
	if err := r.introduce(); err != nil {
		return nil, err
	}
	r.head()
	return r, r.file.err
}

// layOut gives the columns their places.
func (r *Report) layOut() error {
	shares := 0
	for _, c := range r.o.Columns {
		shares += max(c.Share, 1)
	}
	x := float64(margin)
	for _, c := range r.o.Columns {
		r.edges = append(r.edges, x)
		x += (r.width - 2*margin) * float64(max(c.Share, 1)) / float64(shares)
	}
	r.edges = append(r.edges, x)
	var err error
	cells := make([]string, len(r.o.Columns))
	for i, c := range r.o.Columns {
		cells[i] = c.Head
	}
	r.heads, err = r.lines(cells)
	return err
}

// introduce writes the title and the facts.
func (r *Report) introduce() error {
	title, err := r.face.shown(r.o.Title)
	if err != nil {
		return err
	}
	room := int((r.width - 2*margin) * 1000)
	r.y -= titleSize
	for _, line := range r.face.wrap(title, room/titleSize) {
		r.put(margin, r.y, titleSize, line)
		r.y -= titleSize + 4
	}
	for _, fact := range r.o.Facts {
		if fact, err = r.face.shown(fact); err != nil {
			return err
		}
		for _, line := range r.face.wrap(fact, room/factSize) {
			r.put(margin, r.y, factSize, line)
			r.y -= factSize + 4
		}
	}
	r.y -= 6
	return nil
}

// begin starts a page.
func (r *Report) begin() {
	r.page, r.y = r.page[:0], r.height-margin
}

// put draws a line of text whose base is at y.
func (r *Report) put(x, y, size float64, line string) {
	if line == "" {
		return
	}
	r.page = strconv.AppendFloat(append(r.page, "BT/F1 "...), size, 'f', 0, 64)
	r.page = strconv.AppendFloat(append(r.page, " Tf "...), x, 'f', 2, 64)
	r.page = strconv.AppendFloat(append(r.page, ' '), y, 'f', 2, 64)
	r.page = append(r.page, " Td "...)
	r.page = append(r.face.code(r.page, line), " Tj ET\n"...)
}

// head draws the heads of the columns on their ground.
func (r *Report) head() {
	tall := tallest(r.heads)*leading + 2*cellPadding
	r.page = fmt.Appendf(r.page, "0.9 g %d %.2f %.2f %d re f 0 g\n", margin, r.y-float64(tall), r.width-2*margin, tall)
	r.y -= cellPadding
	r.draw(r.heads)
	r.y -= cellPadding
}

// tallest is how many lines the tallest of some cells has.
func tallest(cells [][]string) (n int) {
	for _, lines := range cells {
		n = max(n, len(lines))
	}
	return n
}

// lines are those of cells in their columns.
func (r *Report) lines(cells []string) (lines [][]string, err error) {
	lines = make([][]string, len(r.o.Columns))
	for i := range lines {
		if i < len(cells) {
			cell, err := r.face.shown(cells[i])
			if err != nil {
				return nil, err
			}
			lines[i] = r.face.wrap(cell, int((r.edges[i+1]-r.edges[i]-2*cellPadding)*1000/cellSize))
		}
	}
	return lines, nil
}

// draw writes the lines of cells from y on, one cell after the other, in the order
// in which they are read; where a page ends, they go on on the next one.
func (r *Report) draw(cells [][]string) {
	for from, tall := 0, tallest(cells); from < tall; {
		fit := int((r.y - margin) / leading)
		if fit < 1 {
			r.turn()
			continue
		}
		to := min(from+fit, tall)
		for column, lines := range cells {
			for i := from; i < min(to, len(lines)); i++ {
				r.put(r.edges[column]+cellPadding, r.y-float64(leading*(i-from+1))+3, cellSize, lines[i])
			}
		}
		r.y -= float64(leading * (to - from))
		from = to
	}
}

// turn ends the page and starts the next one, with the heads.
func (r *Report) turn() {
	r.finish()
	r.begin()
	r.head()
}

// Row writes one line of the table.
func (r *Report) Row(cells ...string) error {
	if r.err != nil {
		return r.err
	}
	lines, err := r.lines(cells)
	if err != nil {
		r.err = err
		return err
	}
	// A row stays together unless it is taller than what is left of a fresh page.
	tall := float64(tallest(lines)*leading + cellPadding)
	if r.y-tall < margin && tall < r.height-4*margin {
		r.turn()
	}
	r.draw(lines)
	r.y -= cellPadding / 2
	r.page = fmt.Appendf(r.page, "0.8 G 0.4 w %d %.2f m %.2f %.2f l S\n", margin, r.y, r.width-margin, r.y)
	r.y -= cellPadding / 2
	return r.file.err
}

// finish writes the page, with its number and, as a picture that is written at
// the end, how many there are.
func (r *Report) finish() {
	number := strings.TrimSpace(r.o.Page + " " + strconv.Itoa(len(r.pages)+1) + " /")
	if shown, err := r.face.shown(number); err == nil { // NewReport would have refused it
		middle := r.width / 2
		r.put(middle-float64(r.face.length(shown))*cellSize/1000, footer, cellSize, shown)
		r.page = fmt.Appendf(r.page, "q 1 0 0 1 %.2f %d cm/Total Do Q\n", middle+3, footer)
	}
	content, page := r.file.reserve(), r.file.reserve()
	r.file.stream(content, "", r.page)
	r.file.object(page, "<</Type/Page/Parent %d 0 R/MediaBox[0 0 %.2f %.2f]/Resources<</Font<</F1 %d 0 R>>/XObject<</Total %d 0 R>>>>/Contents %d 0 R>>",
		r.tree, r.width, r.height, r.fontObject, r.total, content)
	r.pages = append(r.pages, page)
}

// Close ends the report. It does not close what is written to.
func (r *Report) Close() error {
	if r.err != nil {
		return r.err
	}
	r.finish()
	count := strconv.Itoa(len(r.pages))
	picture := append(r.face.code(fmt.Appendf(nil, "BT/F1 %d Tf ", cellSize), count), " Tj ET"...)
	r.file.stream(r.total, fmt.Sprintf("/Type/XObject/Subtype/Form/BBox[0 -4 60 12]/Resources<</Font<</F1 %d 0 R>>>>", r.fontObject), picture)
	r.file.writeFace(r.fontObject, &r.face)
	var kids strings.Builder
	for _, page := range r.pages {
		fmt.Fprintf(&kids, "%d 0 R ", page)
	}
	r.file.object(r.tree, "<</Type/Pages/Count %d/Kids[%s]>>", len(r.pages), kids.String())
	root, info := r.file.reserve(), r.file.reserve()
	r.file.object(root, "<</Type/Catalog/Pages %d 0 R/Lang%s/ViewerPreferences<</DisplayDocTitle true>>>>", r.tree, text(r.o.Language))
	r.file.object(info, "<</Title%s/Producer(mailseal)/CreationDate%s>>", text(r.o.Title), moment(r.o.At))
	r.file.end(root, info)
	return r.file.err
}
