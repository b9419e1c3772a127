package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/server"
)

// enterpriseFacts is what `demo --enterprise N --json` prints.
type enterpriseFacts struct {
	People  int     `json:"people"`
	Issued  int     `json:"issued"`
	Seconds float64 `json:"seconds"`
	PeakRSS int64   `json:"peak_rss_mib"`
}

// enterprise is the story of an administrator who equips an organization through
// the REST API.
type enterprise struct {
	story
	people int
	asJSON bool
	zone   *zone
	out    bytes.Buffer // what the server says, with the first code
	mutex  sync.Mutex
	client *http.Client
	token  string
	org    string
	run    string
}

// demoDomain is the organization's: a name that nobody has (RFC 6761 §6.4).
const demoDomain = "people.example"

// brokenLines stand in the list, and are to be told by their line.
var brokenLines = []string{"nobody", "a b@" + demoDomain, "taro@elsewhere.example", "", `"taro`}

// Write takes what the server prints.
func (e *enterprise) Write(p []byte) (int, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.out.Write(p)
}

func (p *program) runEnterprise(ctx context.Context, dir string, people int, asJSON bool) error {
	if people < 1 || people > roster.MaxPeople {
		return usage(fmt.Errorf("--enterprise %d", people), "between 1 and %d people", roster.MaxPeople)
	}
	temporary := dir == ""
	dir, err := demoFolder(dir)
	if err != nil {
		return err
	}
	e := &enterprise{story: story{p: p, dir: dir}, people: people, asJSON: asJSON, zone: &zone{}}
	facts, err := e.tell(ctx)
	if err != nil {
		return fmt.Errorf("demo, step %d (the files are in %s): %w", e.step, dir, err)
	}
	if temporary {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if asJSON {
		return p.printJSON(facts)
	}
	fmt.Fprintf(p.stdout, "\nEverything came out right: %d of %d people in %.1f s, with at most %d MiB of memory.\n", facts.Issued, facts.People, facts.Seconds, facts.PeakRSS)
	if !temporary {
		fmt.Fprintf(p.stdout, "In %s are %s, the sheet %s with what opens it, and %s for your mail program.\n", dir, demoPickedUp, demoSheet, demoRoot)
	}
	return nil
}

// explain begins a step, in the middle of which a program wants to hear nothing.
func (e *enterprise) explain(format string, args ...any) {
	if e.asJSON {
		e.step++
		return
	}
	e.story.explain(format, args...)
}

func (e *enterprise) tell(ctx context.Context) (facts enterpriseFacts, err error) {
	stop, err := e.start(ctx)
	if err != nil {
		return facts, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	begun := e.p.env.Now()
	facts.People = e.people
	for _, step := range []func(context.Context) error{e.claim, e.found, e.proveDomain, e.preview, e.equip} {
		if err := step(ctx); err != nil {
			return facts, err
		}
	}
	facts.Seconds = e.p.env.Now().Sub(begun).Seconds()
	if facts.Issued, err = e.watch(ctx, &facts.Seconds, begun); err != nil {
		return facts, err
	}
	if err := e.pickUp(ctx); err != nil {
		return facts, err
	}
	if err := e.revoke(ctx); err != nil {
		return facts, err
	}
	facts.PeakRSS = peakRSS()
	return facts, nil
}

// start runs the real server, and a DNS server in which the organization enters
// its record.
func (e *enterprise) start(ctx context.Context) (stop func() error, err error) {
	e.explain("A server starts on this machine, with a certificate authority of its own.")
	packets, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	names := &dns.Server{PacketConn: packets, Handler: e.zone}
	go func() { _ = names.ActivateAndServe() }() // it ends with Shutdown
	logs, err := os.Create(e.path("server.log"))
	if err != nil {
		return nil, errors.Join(err, names.Shutdown())
	}
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Config{
			Data: e.path("server"), Listen: "127.0.0.1:0", SMTPListen: "127.0.0.1:0", Dev: true, DNS: packets.LocalAddr().String(),
			Clock: e.p.env.Now, Rand: rand.Reader, GenerateKey: e.p.env.GenerateKey,
			Log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn})), Out: e,
			Ready: func(url string) { ready <- url },
		})
	}()
	stop = func() error {
		cancel()
		return errors.Join(<-done, logs.Close(), names.Shutdown())
	}
	select {
	case e.server = <-ready:
		return stop, nil
	case err := <-done:
		cancel()
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), logs.Close(), names.Shutdown())
	}
}

// zone answers for texts; the server asks while the story goes on.
type zone struct{ texts sync.Map }

// ServeDNS implements dns.Handler.
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(q)
	for _, question := range q.Question {
		if text, found := z.texts.Load(strings.TrimSuffix(question.Name, ".")); found && question.Qtype == dns.TypeTXT {
			answer.Answer = append(answer.Answer, &dns.TXT{
				Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{text.(string)},
			})
		}
	}
	_ = w.WriteMsg(answer) // who asked may have gone
}

var firstCode = regexp.MustCompile(`/admin/claim with\s+(\S+)`)

// claim makes the first account, and takes a token for programs in the portal.
func (e *enterprise) claim(ctx context.Context) error {
	e.explain("Whoever started it becomes its first administrator, and makes a token for programs.")
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	e.client = &http.Client{Jar: jar, Timeout: time.Minute}
	var code []string
	for range 100 {
		e.mutex.Lock()
		code = firstCode.FindStringSubmatch(e.out.String())
		e.mutex.Unlock()
		if code != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if code == nil {
		return errors.New("the server printed no code")
	}
	password := rand.Text()
	_, err = e.form(ctx, "/admin/claim", url.Values{
		"code": {code[1]}, "name": {"Hanako"}, "email": {"hanako@" + demoDomain}, "password": {password}, "again": {password},
	})
	if err == nil {
		err = e.takeToken(ctx, auth.Grant{Role: auth.Operator})
	}
	return err
}

// form sends a form of the portal and returns the page that answers.
func (e *enterprise) form(ctx context.Context, path string, values url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.server+path, strings.NewReader(values.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := e.client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", path, answer.Status)
	}
	return string(page), err
}

var tokenText = regexp.MustCompile(auth.TokenPrefix + `[A-Za-z0-9._-]+`)

func (e *enterprise) takeToken(ctx context.Context, scope auth.Grant) error {
	page, err := e.form(ctx, "/admin/tokens", url.Values{"name": {"demo"}, "scope": {scope.String()}, "days": {"1"}})
	if err != nil {
		return err
	}
	if e.token = tokenText.FindString(html.UnescapeString(page)); e.token == "" {
		return fmt.Errorf("the portal gives no token for %s", scope)
	}
	return nil
}

// call asks the API; in is an object, or a list of people.
func (e *enterprise) call(ctx context.Context, method, path string, in, out any) error {
	body, media := []byte(nil), "application/json"
	switch in := in.(type) {
	case nil:
	case list:
		body, media = in, "text/csv"
	default:
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, e.server+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+e.token)
	if in != nil {
		r.Header.Set("Content-Type", media)
	}
	answer, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return &apiRefusal{answer.StatusCode, fmt.Sprintf("%s %s answers %s: %s", method, path, answer.Status, bytes.TrimSpace(text))}
	}
	if raw, is := out.(*[]byte); is {
		*raw = text
		return nil
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// apiRefusal is an answer of the API that says no.
type apiRefusal struct {
	status int
	text   string
}

func (r *apiRefusal) Error() string { return r.text }

func (e *enterprise) found(ctx context.Context) error {
	e.explain("She makes the organization, accepts the agreement, and chooses: P-256 keys, made on\n   the server.")
	var made struct {
		ID       string                `json:"id"`
		Settings registration.Settings `json:"settings"`
	}
	err := e.call(ctx, http.MethodPost, "/organizations", map[string]string{"name": "Example K.K.", "local_name": "株式会社見本", "country": "JP"}, &made)
	if err != nil {
		return err
	}
	e.org = "/organizations/" + made.ID
	if err := e.takeToken(ctx, auth.Grant{Role: auth.Administrator, Organization: made.ID}); err != nil {
		return err
	}
	if err := e.call(ctx, http.MethodPost, e.org+"/agreement", map[string]string{"version": registration.AgreementVersion}, nil); err != nil {
		return err
	}
	made.Settings.Keys, made.Settings.Algorithm = registration.KeysServer, "p256"
	return e.choose(ctx, made.ID, made.Settings)
}

// choose has settings in the portal: that the server makes keys no program says.
func (e *enterprise) choose(ctx context.Context, organization string, s registration.Settings) error {
	values := url.Values{
		"kind": {s.Kind}, "generation": {s.Generation}, "issuer": {s.Issuer}, "keys": {s.Keys}, "algorithm": {s.Algorithm},
		"names": {s.Names}, "language": {s.Language}, "validity": {strconv.Itoa(s.Validity)},
	}
	for name, on := range map[string]bool{"split": s.Split, "escrow": s.Escrow, "approval": s.Approval, "renew": s.Renew} {
		if on {
			values.Set(name, "yes")
		}
	}
	_, err := e.form(ctx, "/org/"+organization+"/settings", values)
	return err
}

func (e *enterprise) proveDomain(ctx context.Context) error {
	e.explain("She enters a record in the DNS, which proves the mail domain once for everybody.")
	var d struct {
		ID          string `json:"id"`
		State       string `json:"state"`
		RecordName  string `json:"record_name"`
		RecordValue string `json:"record_value"`
		Problem     string `json:"problem"`
	}
	if err := e.call(ctx, http.MethodPost, e.org+"/domains", map[string]string{"name": demoDomain}, &d); err != nil {
		return err
	}
	e.zone.texts.Store(d.RecordName, d.RecordValue)
	if err := e.call(ctx, http.MethodPost, e.org+"/domains/"+d.ID+"/check", nil, &d); err != nil {
		return err
	}
	if d.State != "proven" {
		return fmt.Errorf("the domain is %s: %s", d.State, d.Problem)
	}
	return nil
}

// list is one of people, as CSV.
type list []byte

func (e *enterprise) list(broken bool) list {
	var b bytes.Buffer
	b.WriteString("メールアドレス,名,姓,氏名,社員番号,言語\r\n")
	for i := range e.people {
		language := "ja"
		if i%2 == 1 {
			language = "en"
		}
		fmt.Fprintf(&b, "p%05d@%s,Taro,Tanaka%d,田中 太郎%d,%05d,%s\r\n", i, demoDomain, i, i, i, language)
	}
	if broken {
		for _, address := range brokenLines {
			fmt.Fprintf(&b, "%s,Taro,Tanaka,,x%s,en\r\n", address, address)
		}
	}
	return b.Bytes()
}

func (e *enterprise) preview(ctx context.Context) error {
	e.explain("She sends the list of %d people, with %d broken lines in it. Every one of them is\n   named by its line, and nothing else happens.", e.people, len(brokenLines))
	var p struct {
		People   int `json:"people"`
		Problems []struct {
			Line int    `json:"line"`
			What string `json:"what"`
		} `json:"problems"`
	}
	if err := e.call(ctx, http.MethodPost, e.org+"/runs/preview", e.list(true), &p); err != nil {
		return err
	}
	if p.People != e.people || len(p.Problems) != len(brokenLines) {
		return fmt.Errorf("%d people and %d problems are seen", p.People, len(p.Problems))
	}
	for i, problem := range p.Problems {
		if problem.Line != e.people+2+i {
			return fmt.Errorf("a problem is told of line %d", problem.Line)
		}
		if !e.asJSON {
			fmt.Fprintf(e.p.stdout, "   line %d: %s\n", problem.Line, problem.What)
		}
	}
	var refused *apiRefusal
	if err := e.call(ctx, http.MethodPost, e.org+"/runs", e.list(true), nil); !errors.As(err, &refused) || refused.status != http.StatusUnprocessableEntity {
		return fmt.Errorf("a list with broken lines is taken: %w", err)
	}
	return nil
}

func (e *enterprise) equip(ctx context.Context) error {
	e.explain("She sends the corrected list. For each person a key is made, a certificate issued, a\n   PKCS #12 file written, and a mail queued.")
	var run struct {
		ID string `json:"id"`
	}
	err := e.call(ctx, http.MethodPost, e.org+"/runs", e.list(false), &run)
	e.run = e.org + "/runs/" + run.ID
	return err
}

// watch waits for the run, and says for how many people it came out right.
func (e *enterprise) watch(ctx context.Context, seconds *float64, begun time.Time) (issued int, err error) {
	for {
		var run struct {
			State  string `json:"state"`
			Done   int    `json:"done"`
			Failed int    `json:"failed"`
		}
		if err := e.call(ctx, http.MethodGet, e.run, nil, &run); err != nil {
			return 0, err
		}
		if run.State != "running" {
			*seconds = e.p.env.Now().Sub(begun).Seconds()
			if run.State != "done" || run.Done != e.people {
				return run.Done, fmt.Errorf("the run is %s with %d of %d people, %d failed", run.State, run.Done, e.people, run.Failed)
			}
			return run.Done, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(min(time.Duration(e.people)*time.Millisecond, time.Second)):
		}
	}
}

// What stays of the story in a folder that was named: what one of the people got,
// the administrator's sheet, and whom a mail program has to trust.
const (
	demoPickedUp = "picked-up.p12"
	demoSheet    = "passphrases.csv"
	demoRoot     = "root.pem"
)

var pickupLink = regexp.MustCompile(`/i/([a-z2-7]{26})`)

// pickUp is what a person does: the mail has the link and the code, the sheet
// the passphrase, and the file is given out once.
func (e *enterprise) pickUp(ctx context.Context) error {
	e.explain("One of them picks the file up with the code of the mail, and opens it with the\n   passphrase of the administrator's sheet. A second time there is nothing.")
	address, link, code, err := e.mail(ctx)
	if err != nil {
		return err
	}
	var sheet, file []byte
	if err := e.call(ctx, http.MethodPost, e.run+"/passphrases", nil, &sheet); err != nil {
		return err
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(sheet, []byte("\ufeff")))).ReadAll()
	if err != nil {
		return err
	}
	passphrase := ""
	for _, row := range rows {
		if row[1] == address {
			passphrase = row[4]
		}
	}
	if len(rows) != e.people+1 || passphrase == "" {
		return fmt.Errorf("the sheet has %d lines", len(rows))
	}
	take := "/pickups/" + link + "/file"
	if err := e.call(ctx, http.MethodPost, take, map[string]string{"code": code}, &file); err != nil {
		return err
	}
	opened, err := identity.DecodePKCS12(file, copyOf([]byte(passphrase)))
	if err != nil {
		return err
	}
	if len(opened.Identities) != 1 || opened.Identities[0].Certificate == nil || opened.Identities[0].Certificate.Emails()[0] != address {
		return errors.New("the file is not theirs")
	}
	root, err := e.root(ctx)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{demoPickedUp: file, demoSheet: sheet, demoRoot: root} {
		if err := os.WriteFile(e.path(name), data, modeSecret); err != nil {
			return err
		}
	}
	var refused *apiRefusal
	if err := e.call(ctx, http.MethodPost, take, map[string]string{"code": code}, nil); !errors.As(err, &refused) || refused.status != http.StatusGone {
		return fmt.Errorf("the file is given out twice: %w", err)
	}
	return nil
}

// root is the certificate at the top of the authority, as everybody gets it.
func (e *enterprise) root(ctx context.Context) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.server+"/ca/root.pem", nil)
	if err != nil {
		return nil, err
	}
	answer, err := e.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the root: %s", answer.Status)
	}
	return text, err
}

// mailWait is how long a mail may take: thousands leave before it.
const mailWait = 10 * time.Minute

// mail waits until somebody's mail is there, and reads its link and its code.
func (e *enterprise) mail(ctx context.Context) (address, link, code string, err error) {
	ctx, cancel := context.WithTimeout(ctx, mailWait)
	defer cancel()
	for {
		mails, err := e.caught(ctx)
		if err != nil {
			return "", "", "", err
		}
		for _, m := range mails {
			found, at := codeLine().FindStringSubmatch(m.Text), pickupLink.FindStringSubmatch(m.Text)
			if found != nil && at != nil && len(m.To) == 1 {
				return strings.Trim(m.To[0], "<>"), at[1], found[1], nil
			}
		}
		select {
		case <-ctx.Done():
			return "", "", "", fmt.Errorf("no mail with a link came: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (e *enterprise) revoke(ctx context.Context) error {
	e.explain("One leaves: the certificate is revoked at once, and what waited is erased.")
	var people struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	query := "?" + url.Values{"text": {fmt.Sprintf("p%05d@%s", e.people-1, demoDomain)}}.Encode()
	if err := e.call(ctx, http.MethodGet, e.org+"/people"+query, nil, &people); err != nil {
		return err
	}
	if len(people.Items) != 1 {
		return fmt.Errorf("%d people are found", len(people.Items))
	}
	var done struct {
		Revoked []string `json:"revoked"`
	}
	if err := e.call(ctx, http.MethodPost, e.org+"/people/dismiss", map[string][]string{"ids": {people.Items[0].ID}}, &done); err != nil {
		return err
	}
	if len(done.Revoked) != 1 {
		return fmt.Errorf("%d certificates are revoked", len(done.Revoked))
	}
	return nil
}
