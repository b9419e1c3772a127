package storetest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Gate stands between a store and PostgreSQL, and can be shut.
type Gate struct {
	Source string // the database behind the gate, for store.Open

	t      testing.TB
	socket string // of the server
	own    string // of the gate

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	calm  sync.Cond // wakes those that are held
	held  bool
}

// socketName is what clients look for in the folder that they are told.
const socketName = ".s.PGSQL.5432"

// NewGate returns an open gate before the PostgreSQL database of source.
func NewGate(t testing.TB, source string) *Gate {
	t.Helper()
	u, err := url.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "gate") // short, as sockets want it
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{t: t, socket: filepath.Join(u.Query().Get("host"), socketName), own: filepath.Join(dir, socketName), conns: map[net.Conn]bool{}}
	g.calm.L = &g.mu
	u.RawQuery = url.Values{"host": {dir}}.Encode()
	g.Source = u.String()
	g.Open()
	t.Cleanup(func() {
		g.Release()
		g.Shut()
		_ = os.RemoveAll(dir)
	})
	return g
}

// Open lets connections through.
func (g *Gate) Open() {
	g.t.Helper()
	l, err := net.Listen("unix", g.own)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	g.l = l
	g.mu.Unlock()
	go g.accept(l)
}

// Shut ends all connections and refuses new ones, as a server that is down does.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.l.Close()
	for c := range g.conns {
		_ = c.Close()
	}
	clear(g.conns)
}

// Hold lets nothing through any more and says nothing, as a server that lost
// its power does.
func (g *Gate) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

// Release ends Hold; what was held goes through.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = false
	g.calm.Broadcast()
}

func (g *Gate) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", g.socket)
		if err != nil {
			_ = client.Close()
			continue
		}
		g.mu.Lock()
		g.conns[client], g.conns[server] = true, true
		g.mu.Unlock()
		go g.copy(server, client)
		go g.copy(client, server)
	}
}

// copy passes on what comes until an end is closed, and then closes the other.
func (g *Gate) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		g.mu.Lock()
		for g.held {
			g.calm.Wait()
		}
		g.mu.Unlock()
		if _, writing := to.Write(buffer[:n]); err != nil || writing != nil {
			return
		}
	}
}
