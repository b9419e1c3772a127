package server

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
)

// An operator revokes by a serial number when they are there, and nobody else does.
func TestRevokeBySerial(t *testing.T) {
	there := auth.Actor{Kind: auth.KindAccount, ID: "operator", Grants: []auth.Grant{{Role: auth.Operator}}, Strong: true, Fresh: true}
	away, other := there, there
	away.Fresh, other.Grants = false, []auth.Grant{{Role: auth.Validator}}
	for _, test := range []struct {
		by   auth.Actor
		want error
	}{{away, auth.ErrAgain}, {other, auth.ErrForbidden}, {there, authority.ErrUnknown}} {
		if err := (overview{}).Revoke(t.Context(), test.by, "none", cert.Superseded); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.by, err, test.want)
		}
	}
}
