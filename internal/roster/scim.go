package roster

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// scimUser is what is read of a user (RFC 7643 §4.1, §4.3).
type scimUser struct {
	UserName string `json:"userName"`
	Name     struct {
		GivenName  string `json:"givenName"`
		FamilyName string `json:"familyName"`
	} `json:"name"`
	DisplayName       string `json:"displayName"`
	Emails            []scimEmail
	PreferredLanguage string `json:"preferredLanguage"`
	Locale            string `json:"locale"`
	Active            *bool  `json:"active"`
	Enterprise        struct {
		EmployeeNumber string `json:"employeeNumber"`
		Department     string `json:"department"`
	} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
}

type scimEmail struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

// ReadSCIM reads users as an identity provider gives them: a ListResponse (RFC
// 7644 §3.4.2), an array of users, or one user. A problem's line is where its
// user begins.
func ReadSCIM(r io.Reader, o Options) (*List, error) {
	raw, err := readAll(r)
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimPrefix(raw, utf8BOM)
	j := newJudge(o)
	s := &scimReader{raw: raw, d: json.NewDecoder(bytes.NewReader(raw)), j: j, line: 1}
	if trim(string(raw[:min(len(raw), MaxCell)])) == "" {
		j.list.problem(0, 0, KeyEmpty)
	} else if err := s.read(); err != nil && !errors.Is(err, errFull) {
		j.list.problem(s.lineAt(s.d.InputOffset()), 0, KeyJSON)
	}
	return j.list, nil
}

type scimReader struct {
	raw  []byte
	d    *json.Decoder
	j    *judge
	at   int64 // up to which lines were counted
	line int
}

// lineAt is the line of what comes after an offset; offsets only grow.
func (s *scimReader) lineAt(offset int64) int {
	for offset < int64(len(s.raw)) && bytes.IndexByte([]byte(" \t\r\n,"), s.raw[offset]) >= 0 {
		offset++
	}
	s.line += bytes.Count(s.raw[s.at:max(s.at, offset)], []byte("\n"))
	s.at = max(s.at, offset)
	return s.line
}

var (
	errNoUsers = errors.New("no users")
	errFull    = errors.New("the list is full")
)

func (s *scimReader) read() error {
	first, err := s.d.Token()
	switch {
	case err != nil:
		return err
	case first == json.Delim('['):
		_, err := s.users()
		return err
	case first == json.Delim('{'):
		return s.object()
	}
	return errNoUsers
}

// object reads a ListResponse, whose members may come in any order, or one user.
func (s *scimReader) object() error {
	others := map[string]json.RawMessage{}
	found, listed, total := 0, false, 0
	for s.d.More() {
		key, err := s.d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if strings.EqualFold(name, "Resources") {
			begin, err := s.d.Token()
			if err != nil || begin != json.Delim('[') {
				return errNoUsers
			}
			n, err := s.users()
			if err != nil {
				return err
			}
			found, listed = found+n, true
			continue
		}
		var value json.RawMessage
		if err := s.d.Decode(&value); err != nil {
			return err
		}
		others[name] = value
	}
	if _, err := s.d.Token(); err != nil {
		return err
	}
	if !listed {
		return s.single(others)
	}
	if json.Unmarshal(others["totalResults"], &total) == nil && total > found {
		s.j.list.notice(0, 0, KeyPage, strconv.Itoa(found), strconv.Itoa(total))
	}
	return nil
}

func (s *scimReader) single(members map[string]json.RawMessage) error {
	if members["userName"] == nil && members["emails"] == nil {
		return errNoUsers
	}
	whole, err := json.Marshal(members)
	if err == nil {
		s.user(whole, 1)
	}
	return err
}

// users reads the rest of an array and says how many there were.
func (s *scimReader) users() (n int, err error) {
	for s.d.More() {
		line := s.lineAt(s.d.InputOffset())
		var value json.RawMessage
		if err := s.d.Decode(&value); err != nil {
			return n, err
		}
		n++
		if !s.user(value, line) {
			return n, errFull
		}
	}
	_, err = s.d.Token()
	return n, err
}

// user judges one user; false: the list is full.
func (s *scimReader) user(raw []byte, line int) bool {
	var u scimUser
	if err := json.Unmarshal(raw, &u); err != nil {
		s.j.list.problem(line, 0, KeyUser)
		return true
	}
	address := u.address()
	if u.Active != nil && !*u.Active {
		s.j.list.notice(line, 0, KeyInactive, or(address, u.UserName))
		return true
	}
	for _, text := range []string{address, u.Name.GivenName, u.Name.FamilyName, u.DisplayName} {
		if len(text) > MaxCell {
			s.j.list.problem(line, 0, KeyLongCell, strconv.Itoa(MaxCell))
			return true
		}
		if strings.Contains(text, "\ufffd") {
			s.j.list.problem(line, 0, KeyEncoding)
			return true
		}
	}
	e := entry{line: line}
	e.set(FieldAddress, address, 0)
	e.set(FieldGivenName, u.Name.GivenName, 0)
	e.set(FieldSurname, u.Name.FamilyName, 0)
	e.set(FieldLocalName, u.DisplayName, 0)
	e.set(FieldNumber, u.Enterprise.EmployeeNumber, 0)
	e.set(FieldDepartment, u.Enterprise.Department, 0)
	e.set(FieldLanguage, or(u.PreferredLanguage, u.Locale), 0)
	if len(u.Emails) > 1 {
		s.j.list.notice(line, 0, KeyMoreAddresses, address)
	}
	return s.j.take(e)
}

// address is the primary one, else that of work, else the first; a user name
// that is an address stands in where there is none.
func (u *scimUser) address() string {
	for _, better := range []func(scimEmail) bool{
		func(e scimEmail) bool { return e.Primary },
		func(e scimEmail) bool { return strings.EqualFold(e.Type, "work") },
		func(e scimEmail) bool { return true },
	} {
		if i := slices.IndexFunc(u.Emails, better); i >= 0 {
			return u.Emails[i].Value
		}
	}
	if strings.Contains(u.UserName, "@") {
		return u.UserName
	}
	return ""
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
