//go:build cgo

package cryptoki

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/pkcs11"

	"github.com/mailseal/mailseal/internal/token"
)

// module is one token that was opened: a session, logged in where it must be.
type module struct {
	ctx     *pkcs11.Ctx
	session pkcs11.SessionHandle
	pin     []byte // for keys that ask for it each time
	keys    []object
}

// object is a private key in the token.
type object struct {
	handle pkcs11.ObjectHandle
	always bool // CKA_ALWAYS_AUTHENTICATE: asks for the PIN each time
}

// Open is a token.Opener.
func Open(path string, u *token.URI, pin []byte) (token.Module, *token.Content, error) {
	ctx := pkcs11.New(path)
	if ctx == nil {
		return nil, nil, fmt.Errorf("%w: cannot load the PKCS #11 module %s", token.ErrNotFound, path)
	}
	m := &module{ctx: ctx}
	if err := ctx.Initialize(); err != nil {
		ctx.Destroy()
		return nil, nil, failed("initialize "+path, err)
	}
	content, err := m.open(u, pin)
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return m, content, nil
}

func (m *module) open(u *token.URI, pin []byte) (*token.Content, error) {
	if err := m.matchLibrary(u); err != nil {
		return nil, err
	}
	slot, info, err := m.findToken(u)
	if err != nil {
		return nil, err
	}
	if m.session, err = m.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION); err != nil {
		return nil, failed("open a session", err)
	}
	if err := m.login(info, pin); err != nil {
		return nil, err
	}
	content, err := m.content(u)
	if err != nil {
		return nil, err
	}
	if info.Flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0 {
		content.Notice = fmt.Sprintf("somebody gave wrong PINs to the token %s; the next ones lock it", label(info))
	}
	return content, nil
}

// Close logs out and lets go of the module.
func (m *module) Close() error {
	clear(m.pin)
	if m.session != 0 {
		_ = m.ctx.CloseSession(m.session) // logs out, too: it is the only one
	}
	err := m.ctx.Finalize()
	m.ctx.Destroy()
	return err
}

// matchLibrary holds the module to what the URI says of it.
func (m *module) matchLibrary(u *token.URI) error {
	info, err := m.ctx.GetInfo()
	if err != nil {
		return failed("ask the module who it is", err)
	}
	major, minor, _ := strings.Cut(u.LibraryVersion, ".")
	version := info.LibraryVersion
	if !matches(u.LibraryManufacturer, info.ManufacturerID) || !matches(u.LibraryDescription, info.LibraryDescription) ||
		!matches(major, fmt.Sprint(version.Major)) || !matches(minor, fmt.Sprint(version.Minor)) {
		return fmt.Errorf("%w: the module is %s by %s, version %d.%d", token.ErrNotFound,
			trim(info.LibraryDescription), trim(info.ManufacturerID), version.Major, version.Minor)
	}
	return nil
}

// findToken returns the one token that the URI means (RFC 7512, Section 2.5).
func (m *module) findToken(u *token.URI) (slot uint, info pkcs11.TokenInfo, err error) {
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		return 0, info, failed("list the tokens", err)
	}
	var found, others []string
	for _, id := range slots {
		s, slotErr := m.ctx.GetSlotInfo(id)
		t, tokenErr := m.ctx.GetTokenInfo(id)
		if slotErr != nil || tokenErr != nil || t.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		if !matchesToken(u, id, s, t) {
			others = append(others, label(t))
			continue
		}
		found = append(found, label(t))
		slot, info = id, t
	}
	switch {
	case len(found) > 1:
		return 0, info, fmt.Errorf("%w: %s; name one with token= or serial=", token.ErrAmbiguous, strings.Join(found, ", "))
	case len(found) == 0 && len(others) > 0:
		return 0, info, fmt.Errorf("%w: no token matches; there are %s", token.ErrNotFound, strings.Join(others, ", "))
	case len(found) == 0:
		return 0, info, fmt.Errorf("%w: no token is there; is it plugged in?", token.ErrNotFound)
	}
	return slot, info, nil
}

func matchesToken(u *token.URI, id uint, s pkcs11.SlotInfo, t pkcs11.TokenInfo) bool {
	return (u.SlotID == nil || *u.SlotID == uint64(id)) &&
		matches(u.SlotManufacturer, s.ManufacturerID) && matches(u.SlotDescription, s.SlotDescription) &&
		matches(u.Token, t.Label) && matches(u.Manufacturer, t.ManufacturerID) &&
		matches(u.Serial, t.SerialNumber) && matches(u.Model, t.Model)
}

// matches compares a field that may be padded with blanks; nothing matches all.
func matches(want, got string) bool { return want == "" || want == trim(got) }

func trim(s string) string { return strings.TrimRight(s, " \x00") }

func label(t pkcs11.TokenInfo) string {
	return fmt.Sprintf("%q (serial %s)", trim(t.Label), trim(t.SerialNumber))
}

// login shows the PIN where the token wants one.
func (m *module) login(info pkcs11.TokenInfo, pin []byte) error {
	switch {
	case info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0:
		return nil
	case info.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return fmt.Errorf("%w: %s", token.ErrPINLocked, label(info))
	case info.Flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH != 0:
		pin = nil // it is typed at the reader
	case pin == nil:
		return fmt.Errorf("%w: %s", token.ErrPINNeeded, label(info))
	}
	err := m.ctx.Login(m.session, pkcs11.CKU_USER, string(pin))
	if is(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		err = nil
	}
	if err != nil {
		return failed("log in to "+label(info), err)
	}
	m.pin = append([]byte(nil), pin...)
	return nil
}

func is(err error, code uint) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && uint(e) == code
}

// failed gives an error of the module its class.
func failed(doing string, err error) error {
	class := token.ErrToken
	switch {
	case is(err, pkcs11.CKR_PIN_INCORRECT), is(err, pkcs11.CKR_PIN_INVALID), is(err, pkcs11.CKR_PIN_LEN_RANGE):
		class = token.ErrPIN
	case is(err, pkcs11.CKR_PIN_LOCKED):
		class = token.ErrPINLocked
	case is(err, pkcs11.CKR_MECHANISM_INVALID), is(err, pkcs11.CKR_MECHANISM_PARAM_INVALID), is(err, pkcs11.CKR_FUNCTION_NOT_SUPPORTED),
		is(err, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED), is(err, pkcs11.CKR_KEY_TYPE_INCONSISTENT), is(err, pkcs11.CKR_ARGUMENTS_BAD):
		class = token.ErrUnsupported
	}
	return fmt.Errorf("%w: %s: %w", class, doing, err)
}
