//go:build !linux

package doctor

// clock cannot ask the system here.
func (e *examination) clock() {
	e.add("clock", Odd, "whether anybody keeps the clock right is not known on this system", "let NTP keep it right")
}
