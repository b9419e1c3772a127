// Package nodes runs several processes of mailseal on one PostgreSQL database and
// kills them under load.
package nodes

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// killsVariable asks for a long run: how often a node is killed.
const killsVariable = "MAILSEAL_NODE_KILLS"

const (
	shortKills    = 3
	ordersPerKill = 40
	clients       = 6
)

// node is a process of `mailseal serve`.
type node struct {
	data string
	mu   sync.Mutex
	cmd  *exec.Cmd
	url  string
}

// world is two nodes, their database, and what clients were told.
type world struct {
	t         *testing.T
	program   string
	source    string
	nodes     [2]*node
	db        *store.DB
	authority *authority.Authority
	key       crypto.Signer // of all requests
	request   []byte
	done      atomic.Int64 // orders
	client    *http.Client
}

// Two nodes share the work, and one after the other is killed in the midst of it:
// in the end every order has its one certificate, CRL numbers only rose, and the
// audit log is whole.
func TestNodeIsKilled(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	kills := shortKills
	if n, err := strconv.Atoi(os.Getenv(killsVariable)); err == nil {
		kills = n
	}
	w := newWorld(t)
	orders := w.orders(kills * ordersPerKill)
	certificates := make([]*cert.Certificate, len(orders))
	next := make(chan int)
	var working, watching sync.WaitGroup
	for range clients {
		working.Go(func() {
			for i := range next {
				certificates[i] = w.enroll(orders[i])
				w.done.Add(1)
			}
		})
	}
	stop := make(chan struct{})
	watching.Go(func() { w.watchLists(stop) })
	watching.Go(func() { w.revoke(stop) })
	watching.Go(func() { w.kill(stop, kills) })
	for i := range orders {
		next <- i
	}
	close(next)
	working.Wait()
	close(stop)
	watching.Wait()
	w.check(orders, certificates)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, source: storetest.Source(t), program: filepath.Join(t.TempDir(), "mailseal"), client: &http.Client{Timeout: time.Minute}}
	if out, err := exec.Command("go", "build", "-o", w.program, "github.com/mailseal/mailseal/cmd/mailseal").CombinedOutput(); err != nil {
		t.Fatalf("build mailseal: %v\n%s", err, out)
	}
	var err error
	if w.db, err = store.Open(t.Context(), w.source); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	for i := range w.nodes {
		w.nodes[i] = &node{data: t.TempDir()}
	}
	w.found()
	w.key = newKey(t)
	if w.request, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, w.key); err != nil {
		t.Fatal(err)
	}
	w.start(w.nodes[0])
	// The second one gets the keys of the first, the audit log's included.
	if err := os.CopyFS(filepath.Join(w.nodes[1].data, "keys"), os.DirFS(filepath.Join(w.nodes[0].data, "keys"))); err != nil {
		t.Fatal(err)
	}
	if err := filepath.Walk(filepath.Join(w.nodes[1].data, "keys"), func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, map[bool]os.FileMode{true: 0o700, false: 0o600}[info.IsDir()])
	}); err != nil {
		t.Fatal(err)
	}
	w.start(w.nodes[1])
	return w
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := p256()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func p256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// found makes the authorities before the first node starts, because the keys
// that it would make take seconds.
func (w *world) found() {
	w.t.Helper()
	o := authority.Options{
		Store: w.db, Keys: &keys.Keys{Dir: w.nodes[0].data, Plaintext: true}, Clock: time.Now, GenerateKey: p256, Shared: true,
		Validation: &validation.Validator{Clock: time.Now},
	}
	var err error
	if w.authority, err = authority.Found(w.t.Context(), o, authority.Founding{BaseURL: "http://127.0.0.1:8080", Dev: true}); err != nil {
		w.t.Fatal(err)
	}
}

var portalLine = regexp.MustCompile(`(?m)^  Portal\s+(http://\S+)/$`)

// start starts a node and waits until it serves.
func (w *world) start(n *node) {
	w.t.Helper()
	cmd := exec.Command(w.program, "serve", "--dev", "--data", n.data, "--listen", "127.0.0.1:0", "--smtp", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "MAILSEAL_DB="+w.source)
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := portalLine.FindStringSubmatch(lines.Text()); m != nil {
			n.mu.Lock()
			n.cmd, n.url = cmd, m[1]
			n.mu.Unlock()
			go func() { _, _ = io.Copy(io.Discard, out) }()
			w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			return
		}
	}
	_ = cmd.Wait()
	w.t.Fatalf("node did not start:\n%s", &log)
}

func (n *node) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.url
}

// order is an order whose mailbox is proven, and the token of who asked for it.
type order struct{ id, token, address string }

// orders writes orders as they are when their codes have come back.
func (w *world) orders(n int) []order {
	w.t.Helper()
	var orders []order
	now := time.Now()
	profile := w.authority.Profile()
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		orders = nil
		if err := tx.InsertProfile(profile.Hash(), string(profile.Text()), now); err != nil {
			return err
		}
		for i := range n {
			o := order{
				fmt.Sprintf("order%d", i), base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "token of order %020d", i)),
				fmt.Sprintf("person%d@example.org", i),
			}
			secret := sha256.Sum256([]byte("order " + o.token))
			err := errors.Join(
				tx.InsertOrder(store.Order{
					ID: o.id, State: "proven", Language: "en", SecretHash: secret[:], ProfileHash: profile.Hash(),
					Created: now, Expires: now.Add(24 * time.Hour), Addresses: []string{o.address},
				}),
				tx.InsertProof(store.Proof{OrderID: o.id, Address: o.address, Method: "3.2.2.2", Proven: now, Expires: now.Add(24 * time.Hour)}),
				audit.Append(w.t.Context(), tx, audit.Entry{At: now, Act: store.ActApplied, Object: o.id}),
				audit.Append(w.t.Context(), tx, audit.Entry{At: now, Act: store.ActProven, Object: o.id}))
			if err != nil {
				return err
			}
			orders = append(orders, o)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return orders
}

// enroll asks until a node gives the certificate, as a client behind a load
// balancer does: a refusal is an error, a node that is gone is not. Now and then
// it is impatient and asks both at once, who give the same certificate.
func (w *world) enroll(o order) *cert.Certificate {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		first := mathrand.N(len(w.nodes))
		asked := []*node{w.nodes[first]}
		if mathrand.N(3) == 0 {
			asked = append(asked, w.nodes[1-first])
		}
		answers := make([]*cert.Certificate, len(asked))
		var asking sync.WaitGroup
		for i, n := range asked {
			asking.Go(func() { answers[i] = w.ask(n.address(), o) })
		}
		asking.Wait()
		var got *cert.Certificate
		for _, c := range answers {
			if c != nil && got != nil && !c.Equal(got) {
				w.t.Errorf("order %s: two certificates", o.id)
			}
			if c != nil {
				got = c
			}
		}
		if got != nil || w.t.Failed() {
			return got
		}
	}
	w.t.Errorf("order %s was not served", o.id)
	return nil
}

// ask asks one node; nil: it is gone.
func (w *world) ask(url string, o order) *cert.Certificate {
	request, err := http.NewRequest(http.MethodPost, url+"/api/v1/orders/"+o.id+"/certificate", bytes.NewReader(w.request))
	if err != nil {
		w.t.Error(err)
		return nil
	}
	request.Header.Set("Content-Type", "application/pkcs10")
	request.Header.Set("Authorization", "Bearer "+o.token)
	answer, err := w.client.Do(request)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil
	}
	if answer.StatusCode != http.StatusCreated {
		w.t.Errorf("order %s: %s\n%s", o.id, answer.Status, body)
		return nil
	}
	var issued struct{ Certificate string }
	if err := json.Unmarshal(body, &issued); err != nil {
		w.t.Error(err)
		return nil
	}
	block, _ := pem.Decode([]byte(issued.Certificate))
	c, err := cert.Parse(block.Bytes)
	if err != nil {
		w.t.Error(err)
	}
	return c
}

// kill kills a node each time a share of the orders is done, and starts it again.
func (w *world) kill(stop chan struct{}, kills int) {
	for i := range kills {
		for w.done.Load() < int64(ordersPerKill*i+ordersPerKill/3) {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
		n := w.nodes[i%len(w.nodes)]
		n.mu.Lock()
		cmd := n.cmd
		n.mu.Unlock()
		if err := cmd.Process.Kill(); err != nil {
			w.t.Error(err)
		}
		_ = cmd.Wait()
		w.start(n)
	}
}

// revoke revokes a certificate now and then, so that there are new lists.
func (w *world) revoke(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
		var rows []store.Certificate
		err := w.db.View(context.Background(), func(tx *store.Tx) (err error) {
			rows, err = tx.RecentCertificates(1)
			return err
		})
		if err != nil {
			w.t.Error(err)
			return
		}
		if len(rows) == 0 || !rows[0].Revoked.IsZero() {
			continue
		}
		err = w.authority.Revoke(context.Background(), new(big.Int).SetBytes(rows[0].Serial), cert.Superseded)
		if err != nil && !errors.Is(err, authority.ErrUnknown) {
			w.t.Error(err)
		}
	}
}

// watchLists reads lists from both nodes in turn: whichever is asked, the number
// is never lower than one that was seen before.
func (w *world) watchLists(stop chan struct{}) {
	highest := big.NewInt(0)
	for i := 0; ; i++ {
		select {
		case <-stop:
			if highest.Int64() < 2 {
				w.t.Errorf("the highest number seen is %v: the test shows nothing", highest)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
		answer, err := w.client.Get(w.nodes[i%len(w.nodes)].address() + "/crl/issuing.crl")
		if err != nil {
			continue
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			continue
		}
		list, err := x509.ParseRevocationList(body)
		if err != nil {
			w.t.Errorf("%s: %v", answer.Status, err)
			return
		}
		if list.Number.Cmp(highest) < 0 {
			w.t.Errorf("CRL number %v after %v", list.Number, highest)
		}
		highest = list.Number
	}
}

// check looks at what is left when all is quiet.
func (w *world) check(orders []order, certificates []*cert.Certificate) {
	w.t.Helper()
	for i, c := range certificates {
		if c == nil {
			continue // told already
		}
		if got := c.Emails(); len(got) != 1 || got[0] != orders[i].address {
			w.t.Errorf("order %s got a certificate for %q", orders[i].id, got)
		}
		err := w.db.View(w.t.Context(), func(tx *store.Tx) error {
			o, err := tx.Order(orders[i].id)
			if err != nil {
				return err
			}
			row, err := tx.CertificateOf(o.ID)
			if o.State != "issued" || row.State != "issued" || !bytes.Equal(row.DER, c.Raw) {
				w.t.Errorf("order %s is %s, its certificate %s, and the one that was given is stored: %v", o.ID, o.State, row.State, bytes.Equal(row.DER, c.Raw))
			}
			return err
		})
		if err != nil {
			w.t.Error(err)
		}
	}
	err := w.db.View(w.t.Context(), func(tx *store.Tx) error {
		unfinished, err := tx.UnfinishedCertificates()
		for _, row := range unfinished {
			if row.OrderID != "" { // keys of services are made anew
				w.t.Errorf("order %s was left unfinished", row.OrderID)
			}
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	report, err := audit.Verify(w.t.Context(), w.db, &audit.VerifyOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	if !report.Good() || report.Issued < int64(len(orders)) {
		w.t.Errorf("the audit log: %d entries, %d issued, findings %+v", report.Entries, report.Issued, report.Findings)
	}
}
