// Package thunderbird holds mailseal to Thunderbird, the mail program that most of
// those who read S/MIME on a free system have. Its tests start Debian's under Xvfb,
// once, and drive it through Marionette, its own automation protocol. The package is
// one of its own so that it runs beside the others: most of its time is waiting.
package thunderbird
