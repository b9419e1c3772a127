package cli

import "io/fs"

// anothers: Windows keeps folders apart by their access lists.
func anothers(fs.FileInfo) (owner string, other bool) { return "", false }
