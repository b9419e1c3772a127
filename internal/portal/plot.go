package portal

// bars is a plot of a few numbers beside each other, drawn on the server. The
// page has the same numbers as a table, for who does not see the picture.
type bars struct {
	ID, Key       string
	Width, Height int
	Bars          []bar
}

// bar is one of them, with where it stands.
type bar struct {
	Key, Href, Class string
	Value            int
	X, Y, W, H, Full int
	Text, Number     int // where the words and the number stand
}

// The measures of plots, in units of their view box.
const (
	plotWidth  = 560
	barName    = 170 // for the words at the left
	barNumber  = 60  // for the number at the right
	barHeight  = 20
	barStep    = 34
	barBase    = 15 // of a text in its bar
	columnTop  = 24
	columnTall = 150
	columnFoot = 22
)

// newBars places the bars; the longest is as wide as there is room.
func newBars(id, key string, list []bar) bars {
	most := 1
	for _, b := range list {
		most = max(most, b.Value)
	}
	room := plotWidth - barName - barNumber
	for i := range list {
		b := &list[i]
		b.X, b.Y, b.H, b.Full = barName, i*barStep+4, barHeight, room
		b.W = b.Value * room / most
		if b.Value > 0 {
			b.W = max(b.W, 3) // one among thousands is seen, too
		}
		b.Text, b.Number = b.Y+barBase, barName+room+10
	}
	return bars{id, key, plotWidth, len(list)*barStep + 4, list}
}

// columns is a plot of numbers over months.
type columns struct {
	ID, Key       string
	Width, Height int
	Columns       []column
}

type column struct {
	Label, Month      string // short, for the foot; whole, for the table
	Value             int
	X, Y, W, H        int
	Middle, Top, Foot int
}

func newColumns(id, key string, list []column) columns {
	most := 1
	for _, c := range list {
		most = max(most, c.Value)
	}
	step := plotWidth / max(len(list), 1)
	for i := range list {
		c := &list[i]
		c.W, c.X = step*3/5, i*step+step/5
		c.H = c.Value * columnTall / most
		if c.Value > 0 {
			c.H = max(c.H, 2)
		}
		c.Y = columnTop + columnTall - c.H
		c.Middle, c.Top, c.Foot = c.X+c.W/2, c.Y-5, columnTop+columnTall+columnFoot-6
	}
	return columns{id, key, plotWidth, columnTop + columnTall + columnFoot, list}
}
