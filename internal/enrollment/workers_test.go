package enrollment

import (
	"context"
	"errors"
	"testing"
)

// A core that was taken when the work had failed already is given back: else a
// few failures would leave nobody to make keys.
func TestWorkersGiveBack(t *testing.T) {
	w := newWorkers(2)
	broken := errors.New("broken")
	for range 200 {
		if err := w.each(context.Background(), 8, func(int) error { return broken }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if len(w) != 0 {
			t.Fatalf("%d cores are still taken", len(w))
		}
	}
}
