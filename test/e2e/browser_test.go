package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long one step in the browser may take. RSA-3072 keys take a
// while on a busy machine.
const patience = 60 * time.Second

// chromium is the one browser of all tests, started at first need.
var chromium struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(status)
}

// need skips the test where a program is missing, and fails it where all
// programs should be there.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	message := fmt.Sprintf("needs %s (scripts/test-deps installs it)", strings.Join(names, " or "))
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

func startChromium(path string) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.stop = func() { stopBrowser(); stopAllocator() }
	chromium.err = chromedp.Do(ctx)
}

// person is one browser profile with its own cookies, looking at one site.
type person struct {
	t         *testing.T
	site      *site
	ctx       context.Context
	downloads string

	mu       sync.Mutex
	bodies   [][]byte // of every request that left the page
	problems []string // from the console: script errors, blocked by CSP
	dialogs  []string // kinds of the dialogs that opened; each was dismissed
}

// visit opens a browser window for a new person with these languages.
func visit(t *testing.T, s *site, languages string) *person {
	t.Helper()
	path := need(t, "chromium", "chromium-browser", "google-chrome")
	chromium.once.Do(func() { startChromium(path) })
	if chromium.err != nil {
		t.Fatalf("start chromium: %v", chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &person{t: t, site: s, ctx: ctx, downloads: t.TempDir()}
	// The tab lives as long as the context of its first action.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	size := int64(1 << 20)
	call(p, network.Enable, network.EnableParams{MaxPostDataSize: &size})
	call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0", AcceptLanguage: languages,
	})
	yes := true
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: p.downloads, EventsEnabled: &yes,
		BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hear notes what leaves the page and what goes wrong in it.
func (p *person) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.bodies = append(p.bodies, []byte(e.Request.URL))
		for _, entry := range e.Request.PostDataEntries {
			p.bodies = append(p.bodies, entry.Bytes)
		}
		if e.Request.HasPostData && len(e.Request.PostDataEntries) == 0 {
			p.problems = append(p.problems, "a body was sent that could not be seen: "+e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		// An answer of 422 to a wrong code is in the console too; it is not a fault.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			p.problems = append(p.problems, e.Entry.Text+" "+e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		p.dialogs = append(p.dialogs, string(e.Type))
		go func() { // the listener itself must not call the browser
			_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: false})
		}()
	}
}

func (p *person) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("in the browser: %v\n%s", err, p.text())
	}
}

func eval[T any](p *person, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// text is what the page says, for messages of failing tests.
func (p *person) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	return text
}

func (p *person) open(path string) { p.t.Helper(); p.do(chromedp.Navigate(p.site.url + path)) }

// enter writes into the field with an id.
func (p *person) enter(id, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.ID(id), text, chromedp.NodeVisible))
}

// press clicks what a CSS selector finds.
func (p *person) press(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// follow clicks and waits for the page that comes.
func (p *person) follow(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)); err != nil {
		p.t.Fatalf("press %s: %v\n%s", selector, err, p.text())
	}
}

func (p *person) at(path string) {
	p.t.Helper()
	if got := eval[string](p, "location.pathname"); got != path {
		p.t.Fatalf("at %s, want %s\n%s", got, path, p.text())
	}
}

func (p *person) see(selector string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(chromedp.CSS(selector)))
}

// download waits for the file that the browser saves.
func (p *person) download() string {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if files, _ := filepath.Glob(filepath.Join(p.downloads, "*.p12")); len(files) == 1 {
			return files[0]
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.t.Fatal("nothing was downloaded")
	return ""
}

// quiet holds that the pages ran without an error in the console.
func (p *person) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		p.t.Errorf("browser console: %s", problem)
	}
}

// tabTo presses Tab until the element that a selector finds has the focus, and
// checks that the focus can be seen.
func (p *person) tabTo(selector string) {
	p.t.Helper()
	const most = 90
	for range most {
		if eval[bool](p, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			if eval[string](p, "getComputedStyle(document.activeElement).outlineStyle") == "none" {
				p.t.Errorf("%s has the focus and does not show it", selector)
			}
			return
		}
		p.do(chromedp.KeyEvent(kb.Tab))
	}
	p.t.Fatalf("Tab does not reach %s\n%s", selector, p.text())
}

func (p *person) keys(keys string) { p.t.Helper(); p.do(chromedp.KeyEvent(keys)) }
