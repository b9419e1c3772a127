package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What the types of inputs say is what is enforced, and what the document says:
//
//	json:"name,omitempty"   the member; without omitempty an input must have it
//	enum:"a,b"              one of these strings
//	max:"200"               characters of a string, members of a list, or the number itself
//	min:"1"                 likewise
//	doc:"..."               for people
//
// Unknown members and parameters are refused.

// fieldError is a member or parameter that cannot be taken.
type fieldError struct {
	field string
	what  string
}

func (e *fieldError) Error() string { return e.field + ": " + e.what }

// rules are those of one member.
type rules struct {
	name     string
	required bool
	enum     []string
	min, max int // of a length or a number; max 0: none
	doc      string
}

func rulesOf(f reflect.StructField) rules {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	r := rules{name: name, required: !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero"), doc: f.Tag.Get("doc")}
	if enum := f.Tag.Get("enum"); enum != "" {
		r.enum = strings.Split(enum, ",")
	}
	r.min, _ = strconv.Atoi(f.Tag.Get("min"))
	r.max, _ = strconv.Atoi(f.Tag.Get("max"))
	return r
}

// fields lists the members of a struct, those of embedded ones in their place.
func fields(t reflect.Type) (list []reflect.StructField) {
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous && f.Tag.Get("json") == "" && f.Type.Kind() == reflect.Struct:
			for _, inner := range fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				list = append(list, inner)
			}
		case f.IsExported() && f.Tag.Get("json") != "-":
			list = append(list, f)
		}
	}
	return list
}

// decode reads one JSON object into an input, and holds it against its rules.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return &fieldError{wrong.Field, "must be " + kindName(wrong.Type) + ", not " + wrong.Value}
		}
		return fmt.Errorf("%w: %w", errJSON, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one value", errJSON)
	}
	v := reflect.ValueOf(into).Elem()
	if v.Kind() != reflect.Struct {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return fmt.Errorf("%w: not an object", errJSON)
	}
	for _, f := range fields(v.Type()) {
		r := rulesOf(f)
		if _, there := members[r.name]; r.required && !there {
			return &fieldError{r.name, "is missing"}
		}
	}
	return check("", v)
}

func kindName(t reflect.Type) string {
	switch schemaOf(t)["type"] {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "integer":
		return "a whole number"
	case "boolean":
		return "true or false"
	}
	return "a string"
}

// check holds the members of a struct against their rules.
func check(at string, v reflect.Value) error {
	for _, f := range fields(v.Type()) {
		r := rulesOf(f)
		if err := r.check(at+r.name, v.FieldByIndex(f.Index)); err != nil {
			return err
		}
	}
	return nil
}

func (r rules) check(at string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		n := utf8.RuneCountInString(v.String())
		if len(r.enum) > 0 && !slices.Contains(r.enum, v.String()) && (n > 0 || r.required) {
			return &fieldError{at, "must be one of " + strings.Join(r.enum, ", ")}
		}
		return r.between(at, n, "characters", n > 0 || r.required)
	case reflect.Int, reflect.Int64:
		return r.between(at, int(v.Int()), "", v.Int() != 0 || r.required)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return r.between(at, v.Len(), "octets", v.Len() > 0 || r.required)
		}
		if err := r.between(at, v.Len(), "members", v.Len() > 0 || r.required); err != nil {
			return err
		}
		for i := range v.Len() {
			e := v.Index(i)
			if e.Kind() == reflect.Struct && e.Type() != reflect.TypeFor[time.Time]() {
				if err := check(fmt.Sprintf("%s[%d].", at, i), e); err != nil {
					return err
				}
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return r.check(at, v.Elem())
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			return check(at+".", v)
		}
	}
	return nil
}

func (r rules) between(at string, n int, of string, given bool) error {
	switch {
	case !given:
		return nil
	case r.max > 0 && n > r.max:
		return &fieldError{at, strings.TrimSpace(fmt.Sprintf("must be at most %d %s", r.max, of))}
	case n < r.min:
		return &fieldError{at, strings.TrimSpace(fmt.Sprintf("must be at least %d %s", r.min, of))}
	}
	return nil
}

// noQuery refuses parameters where there are none.
func noQuery(r *http.Request) error { return readQuery(r, &none{}) }

// readQuery reads the parameters of the query into a struct.
func readQuery(r *http.Request, into any) error {
	given, err := parseQuery(r)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(into).Elem()
	for _, f := range fields(v.Type()) {
		rule := rulesOf(f)
		values, there := given[rule.name]
		delete(given, rule.name)
		if !there {
			if rule.required {
				return &fieldError{rule.name, "is missing"}
			}
			continue
		}
		if len(values) != 1 {
			return &fieldError{rule.name, "is there more than once"}
		}
		if err := setParameter(rule.name, v.FieldByIndex(f.Index), values[0]); err != nil {
			return err
		}
	}
	for name := range given {
		return &fieldError{name, "is no parameter of this"}
	}
	return check("", v)
}

func parseQuery(r *http.Request) (map[string][]string, error) {
	// Unlike URL.Query this says what it cannot read.
	values, err := parseValues(r.URL.RawQuery)
	if err != nil {
		return nil, &fieldError{"query", "cannot be read"}
	}
	return values, nil
}

func setParameter(name string, v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case string:
		if !utf8.ValidString(text) {
			return &fieldError{name, "must be UTF-8"}
		}
		v.SetString(text)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return &fieldError{name, "must be a whole number"}
		}
		v.SetInt(int64(n))
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil || text != "true" && text != "false" {
			return &fieldError{name, "must be true or false"}
		}
		v.SetBool(b)
	case time.Time:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return &fieldError{name, "must be a time as in RFC 3339, such as 2026-11-27T03:00:00Z"}
		}
		v.Set(reflect.ValueOf(t))
	default:
		panic("api: a parameter of type " + v.Type().String()) // a line of the table is wrong
	}
	return nil
}

// schema is a JSON Schema (2020-12), as OpenAPI 3.1 has them.
type schema map[string]any

// schemaOf describes a type.
func schemaOf(t reflect.Type) schema {
	if t == reflect.TypeFor[time.Time]() {
		return schema{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return schema{"type": "string", "contentEncoding": "base64"}
		}
		return schema{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Interface:
		return schema{}
	case reflect.Struct:
		return objectOf(t)
	}
	panic("api: a member of type " + t.String()) // a line of the table is wrong
}

func objectOf(t reflect.Type) schema {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields(t) {
		r := rulesOf(f)
		properties[r.name] = r.schema(f.Type)
		if r.required {
			required = append(required, r.name)
		}
	}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema is that of a member's type, with the member's own rules.
func (r rules) schema(t reflect.Type) schema {
	s := schemaOf(t)
	if r.doc != "" {
		s["description"] = r.doc
	}
	if len(r.enum) > 0 {
		s["enum"] = r.enum
	}
	low, high := map[any]string{"string": "minLength", "array": "minItems", "integer": "minimum"}[s["type"]], map[any]string{"string": "maxLength", "array": "maxItems", "integer": "maximum"}[s["type"]]
	if _, octets := s["contentEncoding"]; octets {
		low, high = "", "" // the rule counts what the base64 stands for
	}
	if r.min > 0 && low != "" {
		s[low] = r.min
	}
	if r.max > 0 && high != "" {
		s[high] = r.max
	}
	return s
}
