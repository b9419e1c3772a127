// Package config reads the file that `mailseal serve --config` is given: YAML,
// strictly. A key that is not known, given twice or of the wrong kind is refused
// with its line and the nearest known one; anchors and aliases are refused; all
// that is wrong is told at once.
//
// A secret never stands in the file. It is a [Secret]: the path of a file that
// nobody else may read, or credential:NAME for one that systemd hands over
// (LoadCredential=, systemd.exec(5)).
//
// Start at [Parse]; [File.Check] judges the values alone, [File.CheckFiles] also
// what they point to. example.yaml has every key, with its default and what it
// is for; a test holds that.
package config

import _ "embed"

// Example is a file with every key explained.
//
//go:embed example.yaml
var Example string
