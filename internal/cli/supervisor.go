package cli

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstSocket is where handed-over sockets begin (sd_listen_fds(3)).
const firstSocket = 3

// maxSockets bounds what is believed of LISTEN_FDS.
const maxSockets = 16

// handedSockets are the listening sockets that systemd opened for this process,
// by their FileDescriptorName=.
func (p *program) handedSockets() (map[string]net.Listener, error) {
	pid, _ := p.env.LookupEnv("LISTEN_PID")
	count, _ := p.env.LookupEnv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return nil, nil // none, or another process's
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS=%s is not a number of sockets", count)
	}
	list, _ := p.env.LookupEnv("LISTEN_FDNAMES")
	names := strings.Split(list, ":")
	sockets := map[string]net.Listener{}
	for i := range n {
		if i >= len(names) || names[i] == "" {
			return nil, fmt.Errorf("socket %d has no name", i)
		}
		f := os.NewFile(uintptr(firstSocket+i), names[i])
		l, err := net.FileListener(f)
		_ = f.Close() // FileListener has a descriptor of its own
		if err != nil {
			return nil, fmt.Errorf("socket %s: %w", names[i], err)
		}
		if sockets[names[i]] != nil {
			return nil, fmt.Errorf("two sockets are called %s", names[i])
		}
		sockets[names[i]] = l
	}
	return sockets, nil
}

// supervisor tells systemd how far the server is (sd_notify(3)). Nobody listens
// unless the unit says Type=notify; a message that is lost is no failure.
func (p *program) supervisor() func(state string) {
	address, found := p.env.LookupEnv("NOTIFY_SOCKET")
	if !found || address == "" {
		return func(string) {}
	}
	if strings.HasPrefix(address, "@") { // Linux's abstract names
		address = "\x00" + address[1:]
	}
	return func(state string) {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte(state))
		_ = conn.Close()
	}
}
