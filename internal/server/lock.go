package server

import "io"

// LockFolder locks a data folder as the server does, for a command that changes
// what is in it.
func LockFolder(dir string) (io.Closer, error) { return openFolder(dir) }
