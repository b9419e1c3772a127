//go:build !unix

package main

import "os"

func takeStdout() (*os.File, error) { return os.Stdout, nil }
