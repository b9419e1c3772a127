package portal

// plotFull is the length of the longest bar or column, in units of its own
// picture. The words beside them are text of the page, so that they are read on
// a narrow screen, too.
const plotFull = 400

// bars is a plot of a few numbers beside each other, drawn on the server. The
// page has the same numbers as a table, for who does not see the picture.
type bars struct {
	ID, Key string
	Bars    []bar
}

// bar is one of them.
type bar struct {
	Key, Href, Class string
	Value            int
	W, Full          int // how long it is, and the longest
}

// newBars measures the bars; the longest is as wide as there is room.
func newBars(id, key string, list []bar) bars {
	most := 1
	for _, b := range list {
		most = max(most, b.Value)
	}
	for i := range list {
		list[i].W, list[i].Full = plotLength(list[i].Value, most), plotFull
	}
	return bars{id, key, list}
}

// plotLength is how long a value is drawn: one among thousands is seen, too.
func plotLength(value, most int) int {
	if value == 0 {
		return 0
	}
	return max(value*plotFull/most, 3)
}

// columns is a plot of numbers over months.
type columns struct {
	ID, Key string
	Columns []column
}

type column struct {
	Label, Month string // short, for the foot; whole, for the table
	Value        int
	Y, H, Full   int // where its top is, how tall it is, and the tallest
}

// Empty tells that there is nothing to see.
func (c columns) Empty() bool {
	for _, one := range c.Columns {
		if one.Value > 0 {
			return false
		}
	}
	return true
}

func newColumns(id, key string, list []column) columns {
	most := 1
	for _, c := range list {
		most = max(most, c.Value)
	}
	for i := range list {
		c := &list[i]
		c.H, c.Full = plotLength(c.Value, most), plotFull
		c.Y = plotFull - c.H
	}
	return columns{id, key, list}
}
