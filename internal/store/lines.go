package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Addresses come with the row that has them: as lines, each of a position, a
// space and an address, in which is no line feed. They come in any order, since
// SQLite would make a table to sort them in, even where there is one.

const lineFeed = "\n"

// inOrder sorts such lines, and leaves the addresses.
func inOrder(lines string) ([]string, error) {
	if lines == "" {
		return nil, nil
	}
	type line struct {
		position int
		address  string
	}
	var list []line
	for text := range strings.SplitSeq(lines, lineFeed) {
		position, address, found := strings.Cut(text, " ")
		n, err := strconv.Atoi(position)
		if err != nil || !found {
			return nil, fmt.Errorf("store: %q is not a position and an address", text)
		}
		list = append(list, line{n, address})
	}
	slices.SortFunc(list, func(a, b line) int { return cmp.Compare(a.position, b.position) })
	addresses := make([]string, len(list))
	for i, l := range list {
		addresses[i] = l.address
	}
	return addresses, nil
}
