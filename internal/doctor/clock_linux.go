package doctor

import "golang.org/x/sys/unix"

// clock asks the kernel whether anybody keeps the clock right.
func (e *examination) clock() {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		e.add("clock", Odd, "the kernel does not say whether the clock is right: "+err.Error(), "let NTP keep it right")
	case state == unix.TIME_ERROR:
		e.add("clock", Odd, "nobody keeps the clock right", "turn NTP on, such as systemd-timesyncd or chrony: what is signed with a wrong clock stays wrong")
	default:
		e.well("clock", "it is kept right")
	}
}
