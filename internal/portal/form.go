package portal

import (
	"fmt"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/internal/registration"
)

// form is a form as it was filled in, with what is wrong with it. Pages embed
// it as Form and draw its fields by the pieces of pages/fields.html: each fault
// stands beside its field, and all of them in a summary above the form.
type form struct {
	Values url.Values
	Faults []*fault
}

// fault is one thing that is wrong.
type fault struct {
	Field string                   // name of the field, "" for the form as a whole
	Key   string                   // of the text that says what is wrong and what to do
	Args  []string                 // names and values that the text is filled with
	input *registration.InputError // has the text, where the room below found it
}

// formOf is the form that a request brought.
func formOf(r *http.Request) form { return form{Values: r.PostForm} }

// taken notes what the room below found wrong with an input. It is false where
// that was something else.
func (f *form) taken(err error) bool {
	list, all := inputErrors(err)
	for _, e := range list {
		if !slices.ContainsFunc(f.Faults, func(one *fault) bool { return one.input != nil && one.input.Error() == e.Error() }) {
			f.Faults = append(f.Faults, &fault{Field: e.Field, input: e})
		}
	}
	return all && len(list) > 0
}

// inputErrors takes a joined error apart; all tells whether nothing else is in it.
func inputErrors(err error) (list []*registration.InputError, all bool) {
	switch e := err.(type) { //nolint:errorlint // it is unwrapped here
	case *registration.InputError:
		return []*registration.InputError{e}, true
	case interface{ Unwrap() []error }:
		all = true
		for _, one := range e.Unwrap() {
			more, only := inputErrors(one)
			list, all = append(list, more...), all && only
		}
		return list, all
	case interface{ Unwrap() error }:
		return inputErrors(e.Unwrap())
	}
	return nil, false
}

// explain is the text of a fault.
func (t *tongue) explain(f *fault) (template.HTML, error) {
	if f.input != nil {
		return template.HTML(html.EscapeString(f.input.Text(t.tag))), nil //nolint:gosec // escaped here
	}
	return t.say(f.Key, f.Args)
}

// notice is what was just done, for the page that comes after it.
type notice struct {
	Key  string
	Args []string
}

// doneNotice reads what was done from the address that the browser was led to:
// one of these words, and numbers. Nothing else of it is shown.
func doneNotice(r *http.Request, words map[string]string) *notice {
	key, ok := words[r.URL.Query().Get("done")]
	if !ok {
		return nil
	}
	n := notice{Key: key}
	for _, name := range []string{"n", "m"} {
		value, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil {
			value = 0
		}
		n.Args = append(n.Args, name, counted(value))
	}
	return &n
}

// filled is a form with these values: "name", "Alice", ...
func filled(pairs ...string) form {
	f := form{Values: url.Values{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Values.Set(pairs[i], pairs[i+1])
	}
	return f
}

// wrong notes what is wrong with a field.
func (f *form) wrong(field, key string, args ...string) {
	f.Faults = append(f.Faults, &fault{Field: field, Key: key, Args: args})
}

// Value is what a field holds.
func (f form) Value(name string) string { return f.Values.Get(name) }

// Holds tells whether a field that may have several values has this one.
func (f form) Holds(name, value string) bool { return slices.Contains(f.Values[name], value) }

// Fault is the first fault of a field, or nil.
func (f form) Fault(name string) *fault {
	for _, one := range f.Faults {
		if one.Field == name {
			return one
		}
	}
	return nil
}

// input is one field as pages/fields.html draws it.
type input struct {
	Name    string
	Key     string // of the label; with ".hint" of what helps, where there is such a text
	Value   string
	Fault   *fault
	Type    string
	Options []option // of a select or of radio buttons

	Autocomplete, Inputmode, Placeholder, Max, Rows string
	Required, Optional, Checked, Code               bool
}

// By names what describes the field: its hint, where there is one, and its fault.
func (in input) By(hint bool) string {
	var ids []string
	if hint {
		ids = append(ids, in.Name+"-hint")
	}
	if in.Fault != nil {
		ids = append(ids, in.Name+"-error")
	}
	return strings.Join(ids, " ")
}

// option is one choice.
type option struct {
	Value, Key string
	Chosen     bool
}

func newOption(value, key string) option { return option{Value: value, Key: key} }

// newInput makes a field of a form for a template: input FORM NAME KEY, then
// words that stand alone (required, optional, code) and pairs such as "type"
// "email"; options are last.
func newInput(f form, name, key string, rest ...any) (input, error) {
	in := input{Name: name, Key: key, Value: f.Value(name), Fault: f.Fault(name), Type: "text"}
	for i := 0; i < len(rest); i++ {
		if o, ok := rest[i].(option); ok {
			o.Chosen = f.Holds(name, o.Value)
			in.Options = append(in.Options, o)
			continue
		}
		word, ok := rest[i].(string)
		if !ok {
			return in, fmt.Errorf("field %s: %v is no word", name, rest[i])
		}
		switch word {
		case "required":
			in.Required = true
			continue
		case "optional":
			in.Optional = true
			continue
		case "code":
			in.Code = true
			continue
		}
		if i++; i == len(rest) {
			return in, fmt.Errorf("field %s: no value for %s", name, word)
		}
		value := fmt.Sprint(rest[i])
		switch word {
		case "type":
			in.Type = value
		case "autocomplete":
			in.Autocomplete = value
		case "inputmode":
			in.Inputmode = value
		case "placeholder":
			in.Placeholder = value
		case "max":
			in.Max = value
		case "rows":
			in.Rows = value
		default:
			return in, fmt.Errorf("field %s: nothing is called %s", name, word)
		}
	}
	in.Checked = in.Value != ""
	return in, nil
}
