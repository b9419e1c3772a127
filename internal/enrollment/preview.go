package enrollment

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/store"
)

// Limits of previews that are kept. What a list of [roster.MaxPeople] with as many
// problems comes to is below the octets.
const (
	maxPreviews      = 16       // of an organization
	maxPreviewOctets = 32 << 20 // compressed
	maxPreviewJSON   = 256 << 20
	PreviewLife      = 30 * time.Minute
)

// ErrNoPreview: there is none of that name, it is somebody else's, was used or is
// over.
var ErrNoPreview = errors.New("enrollment: no such preview, or it is over")

// keptPreview is a preview as the store has it.
type keptPreview struct {
	Mode      string                `json:"mode"`
	Hash      []byte                `json:"hash"`
	Settings  registration.Settings `json:"settings"`
	People    []listed              `json:"people"`
	Known     []int                 `json:"known,omitempty"` // which of them
	Problems  []roster.Problem      `json:"problems"`
	Notices   []roster.Problem      `json:"notices"`
	Unlisted  int                   `json:"unlisted"`
	Encoding  string                `json:"encoding"`
	Separator string                `json:"separator"`
	Columns   []roster.Column       `json:"columns"`
}

// KeepPreview keeps a preview for who made it, until they say yes: in the store,
// so that any node can go on with it, and a node that was started anew. It takes
// the place of their earlier one in the organization. Mode is what [StartOptions]
// will have.
func (s *Service) KeepPreview(ctx context.Context, actor auth.Actor, p *Preview, mode string) (id string, err error) {
	if !registration.Administers(actor, p.Organization) {
		return "", registration.ErrForbidden
	}
	content, err := packed(p, mode)
	if err != nil {
		return "", err
	}
	if id, err = s.newID(); err != nil {
		return "", err
	}
	row := store.RunPreview{
		ID: id, OrganizationID: p.Organization, AccountID: registration.Behind(actor), Content: content, Created: s.now(), Expires: s.now().Add(PreviewLife),
	}
	return id, s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.ForgetRunPreviews(s.now()); err != nil {
			return err
		}
		return tx.KeepRunPreview(row, maxPreviews)
	})
}

// KeptPreview reads a preview and its mode; only who made it may.
func (s *Service) KeptPreview(ctx context.Context, actor auth.Actor, organization, id string) (p *Preview, mode string, err error) {
	if !registration.Administers(actor, organization) {
		return nil, "", registration.ErrForbidden
	}
	var row store.RunPreview
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.RunPreview(organization, registration.Behind(actor), id, s.now())
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, "", ErrNoPreview
	}
	if err != nil {
		return nil, "", err
	}
	return unpacked(row)
}

// StartKept starts the run of a preview, which is used up: a second press, on
// whatever node, does not begin another one.
func (s *Service) StartKept(ctx context.Context, actor auth.Actor, organization, id string, o StartOptions) (Run, error) {
	p, mode, err := s.KeptPreview(ctx, actor, organization, id)
	if err != nil {
		return Run{}, err
	}
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.TakeRunPreview(id) })
	if errors.Is(err, store.ErrConflict) {
		return Run{}, ErrNoPreview
	}
	if err != nil {
		return Run{}, err
	}
	o.Mode = mode
	return s.Start(ctx, actor, p, o)
}

// listedOf is a list as batches and previews keep it.
func listedOf(people []roster.Person) []listed {
	list := make([]listed, len(people))
	for i, m := range people {
		list[i] = listed{
			Line: m.Line, Address: m.Address.String(), GivenName: m.GivenName, Surname: m.Surname, LocalName: m.LocalName,
			Number: m.Number, Department: m.Department, Language: m.Language,
		}
	}
	return list
}

func packed(p *Preview, mode string) ([]byte, error) {
	l := p.List
	kept := keptPreview{
		Mode: mode, Hash: p.Hash, Settings: p.Settings, People: listedOf(l.People), Problems: l.Problems, Notices: l.Notices, Unlisted: l.Unlisted,
		Encoding: l.Encoding, Separator: l.Separator, Columns: l.Columns,
	}
	for i, one := range l.People {
		if one.Known {
			kept.Known = append(kept.Known, i)
		}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(kept), z.Close()); err != nil {
		return nil, err
	}
	if b.Len() > maxPreviewOctets {
		return nil, fmt.Errorf("enrollment: keep preview: %w", roster.ErrSize)
	}
	return b.Bytes(), nil
}

func unpacked(row store.RunPreview) (p *Preview, mode string, err error) {
	z, err := gzip.NewReader(bytes.NewReader(row.Content))
	if err != nil {
		return nil, "", fmt.Errorf("preview %s: %w", row.ID, err)
	}
	var kept keptPreview
	if err := json.NewDecoder(io.LimitReader(z, maxPreviewJSON)).Decode(&kept); err != nil {
		return nil, "", fmt.Errorf("preview %s: %w", row.ID, err)
	}
	l := &roster.List{
		People: make([]roster.Person, len(kept.People)), Problems: kept.Problems, Notices: kept.Notices, Unlisted: kept.Unlisted,
		Encoding: kept.Encoding, Separator: kept.Separator, Columns: kept.Columns,
	}
	for i, one := range kept.People {
		m, err := mailbox.Parse(one.Address)
		if err != nil {
			return nil, "", fmt.Errorf("preview %s: %w", row.ID, err)
		}
		l.People[i] = roster.Person{
			Line: one.Line, Address: m, GivenName: one.GivenName, Surname: one.Surname, LocalName: one.LocalName,
			Number: one.Number, Department: one.Department, Language: one.Language,
		}
	}
	for _, i := range kept.Known {
		if i >= 0 && i < len(l.People) {
			l.People[i].Known = true
		}
	}
	return &Preview{Organization: row.OrganizationID, List: l, Hash: kept.Hash, Settings: kept.Settings}, kept.Mode, nil
}
