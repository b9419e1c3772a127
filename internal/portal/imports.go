package portal

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
)

// Runs is what the pages need of enrollment.Service.
type Runs interface {
	Preview(ctx context.Context, actor auth.Actor, organization string, list io.Reader, o enrollment.ListOptions) (*enrollment.Preview, error)
	StartFor(ctx context.Context, actor auth.Actor, organization string, people []string, o enrollment.StartOptions) (enrollment.Run, error)
	KeepPreview(ctx context.Context, actor auth.Actor, p *enrollment.Preview, mode string) (id string, err error)
	KeptPreview(ctx context.Context, actor auth.Actor, organization, id string) (p *enrollment.Preview, mode string, err error)
	StartKept(ctx context.Context, actor auth.Actor, organization, id string, o enrollment.StartOptions) (enrollment.Run, error)
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

type importView struct {
	Organization, Example string
	Form                  form
	Runs                  []enrollment.Run
	Pager                 pager
}

// example is a list as the first line names its columns, in the reader's language.
var example = map[string]string{
	"en": "email,given name,surname,local name,number,department,language\r\ntaro@example.com,Taro,Yamada,山田 太郎,1001,Sales,ja\r\nalice@example.com,Alice,Smith,,1002,Sales,en\r\n",
	"ja": "メールアドレス,名,姓,氏名,社員番号,部署,言語\r\ntaro@example.com,Taro,Yamada,山田 太郎,1001,営業部,ja\r\nalice@example.com,Alice,Smith,,1002,営業部,en\r\n",
}

// runsAtOnce is how many a page lists.
const runsAtOnce = 50

func (p *portal) importForm(w http.ResponseWriter, r *http.Request, v visit) error {
	mode := enrollment.ModeInvite
	if v.organization.Settings.Keys == registration.KeysServer {
		mode = enrollment.ModeServerKeys
	}
	return p.showImport(w, r, v, http.StatusOK, filled("mode", mode))
}

func (p *portal) showImport(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	runs, err := p.Enrollment.Runs(r.Context(), v.Actor(), v.organization.ID, r.URL.Query().Get("after"), runsAtOnce+1)
	if err != nil {
		return err
	}
	next := ""
	if len(runs) > runsAtOnce {
		runs = runs[:runsAtOnce]
		next = runs[runsAtOnce-1].ID
	}
	return p.render(w, r, status, "import", importView{v.organization.ID, example[p.tongueOf(r).tag], f, runs, pagerAt("/org/"+v.organization.ID+"/import", r.URL.Query(), next)})
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
	id, err := p.Enrollment.KeepPreview(r.Context(), v.Actor(), of, f.Value("mode"))
	if err != nil {
		return err
	}
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

func (p *portal) preview(w http.ResponseWriter, r *http.Request, v visit) error {
	id := r.PathValue("preview")
	one, mode, err := p.Enrollment.KeptPreview(r.Context(), v.Actor(), v.organization.ID, id)
	if err != nil {
		return err
	}
	tag, list := p.tongueOf(r).tag, one.List
	view := previewView{Organization: v.organization.ID, ID: id, Mode: mode, Good: len(list.People), Bad: badLines(list)}
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
	one, _, err := p.Enrollment.KeptPreview(r.Context(), v.Actor(), v.organization.ID, r.PathValue("preview"))
	if err != nil {
		return err
	}
	attach(w, "text/csv; charset=utf-8", "problems.csv")
	return roster.WriteProblems(w, one.List, p.tongueOf(r).tag)
}

// startRun begins the run. The preview is used up, so that a second press does not
// begin another one.
func (p *portal) startRun(w http.ResponseWriter, r *http.Request, v visit) error {
	id := r.PathValue("preview")
	_, mode, err := p.Enrollment.KeptPreview(r.Context(), v.Actor(), v.organization.ID, id)
	if err != nil {
		return err
	}
	run, err := p.Enrollment.StartKept(r.Context(), v.Actor(), v.organization.ID, id, enrollment.StartOptions{LeaveOut: true})
	f := filled("mode", mode)
	if runFault(&f, err) {
		return p.showImport(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/runs/"+run.ID)
}
