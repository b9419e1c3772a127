package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// Runs is what the pages need of enrollment.Service.
type Runs interface {
	Preview(ctx context.Context, actor auth.Actor, organization string, list io.Reader, o enrollment.ListOptions) (*enrollment.Preview, error)
	StartFor(ctx context.Context, actor auth.Actor, organization string, people []string, o enrollment.StartOptions) (enrollment.Run, error)
	Start(ctx context.Context, actor auth.Actor, p *enrollment.Preview, o enrollment.StartOptions) (enrollment.Run, error)
	Run(ctx context.Context, actor auth.Actor, id string) (enrollment.Run, error)
	Runs(ctx context.Context, actor auth.Actor, organization, before string, limit int) ([]enrollment.Run, error)
	Members(ctx context.Context, actor auth.Actor, id, state string, after, limit int) ([]enrollment.Member, error)
	Pause(ctx context.Context, actor auth.Actor, id string) (enrollment.Run, error)
	Resume(ctx context.Context, actor auth.Actor, id string) (enrollment.Run, error)
	Cancel(ctx context.Context, actor auth.Actor, id string) (enrollment.Run, error)
	Retry(ctx context.Context, actor auth.Actor, id string) (enrollment.Run, error)
	Sheet(ctx context.Context, actor auth.Actor, run, language string, w io.Writer) error
	Leave(ctx context.Context, actor auth.Actor, organization string, people []string) (registration.Revocations, error)
}

// previews are lists that were checked and wait for a yes, in this process's
// memory: until then nothing is written anywhere. Each account has one.
type previews struct {
	mu   sync.Mutex
	list []preview
}

type preview struct {
	id, account string
	expires     time.Time
	mode        string
	of          *enrollment.Preview
}

// Limits of previews.
const (
	maxPreviews = 16
	previewLife = 30 * time.Minute
)

// keep keeps a preview in the place of the account's earlier one, and of the
// oldest where there are too many.
func (p *previews) keep(one preview, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = slices.DeleteFunc(p.list, func(o preview) bool { return o.account == one.account || !now.Before(o.expires) })
	if len(p.list) >= maxPreviews {
		p.list = p.list[1:]
	}
	one.id, one.expires = rand.Text(), now.Add(previewLife)
	p.list = append(p.list, one)
	return one.id
}

// find gives an account its preview; taken: it is used up.
func (p *previews) find(id, account string, now time.Time, take bool) (one preview, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.list, func(o preview) bool { return o.id == id && o.account == account && now.Before(o.expires) })
	if i < 0 {
		return preview{}, false
	}
	one = p.list[i]
	if take {
		p.list = slices.Delete(p.list, i, i+1)
	}
	return one, true
}

type importView struct {
	Organization, Example string
	Form                  form
	Runs                  []enrollment.Run
}

// example is a list as the first line names its columns, in the reader's language.
var example = map[string]string{
	"en": "email,given name,surname,local name,number,department,language\r\ntaro@example.com,Taro,Yamada,山田 太郎,1001,Sales,ja\r\nalice@example.com,Alice,Smith,,1002,Sales,en\r\n",
	"ja": "メールアドレス,名,姓,氏名,社員番号,部署,言語\r\ntaro@example.com,Taro,Yamada,山田 太郎,1001,営業部,ja\r\nalice@example.com,Alice,Smith,,1002,営業部,en\r\n",
}

// latestRuns is how many the page lists.
const latestRuns = 50

func (p *portal) importForm(w http.ResponseWriter, r *http.Request, v visit) error {
	mode := enrollment.ModeInvite
	if v.organization.Settings.Keys == registration.KeysServer {
		mode = enrollment.ModeServerKeys
	}
	return p.showImport(w, r, v, http.StatusOK, filled("mode", mode))
}

func (p *portal) showImport(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	runs, err := p.Enrollment.Runs(r.Context(), v.Actor(), v.organization.ID, "", latestRuns)
	if err != nil {
		return err
	}
	return p.render(w, r, status, "import", importView{v.organization.ID, example[p.tongueOf(r).tag], f, runs})
}

func (p *portal) importExample(w http.ResponseWriter, r *http.Request, _ visit) error {
	attach(w, "text/csv; charset=utf-8", "example.csv")
	_, _ = io.WriteString(w, "\ufeff"+example[p.tongueOf(r).tag]) // the client is gone: nobody left to tell
	return nil
}

// uploadMemory is what of an upload stays in memory; the rest waits in a file
// until the request is over.
const uploadMemory = 1 << 20

// upload reads a form with a file, which stays open until the request is over.
// There may be no file.
func upload(r *http.Request, name string) (file io.ReadCloser, filename string, err error) {
	if err := r.ParseMultipartForm(uploadMemory); err != nil {
		return nil, "", unreadable(err)
	}
	f, header, err := r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", unreadable(err)
	}
	return f, path.Base(strings.ReplaceAll(header.Filename, `\`, "/")), nil
}

// formats are those of lists, by the ends of files' names.
var formats = map[string]string{".ldif": enrollment.FormatLDIF, ".ldi": enrollment.FormatLDIF, ".json": enrollment.FormatSCIM}

// checkList is the dry run: it reads a list and says everything that is wrong.
func (p *portal) checkList(w http.ResponseWriter, r *http.Request, v visit) error {
	file, name, err := upload(r, "file")
	if err != nil {
		return err
	}
	f := formOf(r)
	if file == nil || name == "" {
		f.wrong("file", "import.error.file")
		return p.showImport(w, r, v, http.StatusUnprocessableEntity, f)
	}
	defer file.Close()
	of, err := p.Enrollment.Preview(r.Context(), v.Actor(), v.organization.ID, file, enrollment.ListOptions{Format: formats[strings.ToLower(path.Ext(name))]})
	if f.taken(err) {
		return p.showImport(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	id := p.previews.keep(preview{account: v.Account.ID, mode: f.Value("mode"), of: of}, p.Now())
	return seeOther(w, r, "/org/"+v.organization.ID+"/previews/"+id)
}

type previewView struct {
	Organization, ID, Mode string
	Good, Bad, More        int
	Problems               []problemRow
	Sample                 []sampleRow
}

type problemRow struct {
	Line   int
	Column string
	Text   string
}

type sampleRow struct {
	Line                      int
	Name, Address, Department string
}

// How much of a preview the page shows; the sheet has all.
const (
	shownProblems = 200
	shownSample   = 10
)

// ownPreview is the preview of the path, for who made it.
func (p *portal) ownPreview(r *http.Request, v visit, take bool) (preview, error) {
	one, ok := p.previews.find(r.PathValue("preview"), v.Account.ID, p.Now(), take)
	if !ok || one.of.Organization != v.organization.ID {
		return preview{}, errNoPreview
	}
	return one, nil
}

func (p *portal) preview(w http.ResponseWriter, r *http.Request, v visit) error {
	one, err := p.ownPreview(r, v, false)
	if err != nil {
		return err
	}
	tag, list := p.tongueOf(r).tag, one.of.List
	view := previewView{Organization: v.organization.ID, ID: one.id, Mode: one.mode, Good: len(list.People), Bad: badLines(list)}
	for i, problem := range list.Problems {
		if i == shownProblems {
			view.More = len(list.Problems) - i + list.Unlisted
			break
		}
		view.Problems = append(view.Problems, problemRow{problem.Line, columnOf(list, problem.Column), problem.What(tag) + " " + problem.Advice(tag)})
	}
	for _, person := range list.People[:min(shownSample, len(list.People))] {
		name := person.LocalName
		if name == "" {
			name = strings.TrimSpace(person.GivenName + " " + person.Surname)
		}
		view.Sample = append(view.Sample, sampleRow{person.Line, name, person.Address.String(), person.Department})
	}
	return p.render(w, r, http.StatusOK, "preview", view)
}

func badLines(l *roster.List) int {
	lines := map[int]bool{}
	for _, problem := range l.Problems {
		lines[problem.Line] = true
	}
	return len(lines)
}

// columnOf is the header of a column.
func columnOf(l *roster.List, n int) string {
	if n < 1 || n > len(l.Columns) {
		return ""
	}
	return l.Columns[n-1].Header
}

func (p *portal) previewSheet(w http.ResponseWriter, r *http.Request, v visit) error {
	one, err := p.ownPreview(r, v, false)
	if err != nil {
		return err
	}
	attach(w, "text/csv; charset=utf-8", "problems.csv")
	return roster.WriteProblems(w, one.of.List, p.tongueOf(r).tag)
}

// startRun begins the run. The preview is used up, so that a second press does not
// begin another one.
func (p *portal) startRun(w http.ResponseWriter, r *http.Request, v visit) error {
	one, err := p.ownPreview(r, v, true)
	if err != nil {
		return err
	}
	run, err := p.Enrollment.Start(r.Context(), v.Actor(), one.of, enrollment.StartOptions{Mode: one.mode, LeaveOut: true})
	f := filled("mode", one.mode)
	if runFault(&f, err) {
		return p.showImport(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/runs/"+run.ID)
}
