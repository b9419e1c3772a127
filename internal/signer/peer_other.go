//go:build !linux

package signer

import (
	"errors"
	"net"
)

// peer: only Linux is asked so far, and nobody is served who is not known.
func peer(*net.UnixConn) (uid int, err error) {
	return 0, errors.New("this system does not tell who is at the other end")
}
