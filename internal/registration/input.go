package registration

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

var (
	// ErrForbidden: the actor may not do it, or there is nothing to do it to.
	// The two look alike on purpose.
	ErrForbidden = errors.New("registration: not allowed, or not there")
	// ErrInput: a field holds what cannot be taken; see [InputError].
	ErrInput = errors.New("registration: input not accepted")
)

// InputError says which field of an input is wrong, and how.
type InputError struct {
	Field string // as the API and the forms name it: "name", "addresses"
	Key   string // of a text, see [InputError.Text]
	Args  []any  // what the text tells of the input
}

// Error implements error; it is the English text.
func (e *InputError) Error() string { return e.Field + ": " + e.Text("en") }

// Is makes every one of them an ErrInput.
func (e *InputError) Is(target error) bool { return target == ErrInput }

// Text is what a person reads, in English or Japanese.
func (e *InputError) Text(language string) string { return Text(language, e.Key, e.Args...) }

// wrong makes an InputError.
func wrong(field, key string, args ...any) error { return &InputError{field, key, args} }

//go:embed text/*.json
var textFiles embed.FS

var texts = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range []string{"en", "ja"} {
		data, err := textFiles.ReadFile("text/" + language + ".json")
		if err != nil {
			panic(err) // it is in the program
		}
		list := map[string]string{}
		if err := json.Unmarshal(data, &list); err != nil {
			panic(fmt.Errorf("texts of registration in %s: %w", language, err))
		}
		all[language] = list
	}
	return all
})

// Text returns a text of this room in a language, English unless it is "ja".
func Text(language, key string, args ...any) string {
	text, ok := texts()[language][key]
	if !ok {
		text = texts()["en"][key]
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}
