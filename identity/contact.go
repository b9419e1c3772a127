package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// Limits of a contact's file.
const (
	maxContact = 1 << 20
	// maxContactChain is how many certificates lead to an anchor.
	maxContactChain = 32
)

// contactFile is a contact as it is written: JSON, with DER in base64.
type contactFile struct {
	Version      int       `json:"version"`
	Address      string    `json:"address"`
	State        string    `json:"state"` // "known" or "pending"
	Certificate  []byte    `json:"certificate"`
	Chain        [][]byte  `json:"chain,omitempty"`
	Anchor       []byte    `json:"anchor,omitempty"`
	Capabilities []byte    `json:"capabilities,omitempty"` // SMIMECapabilities (RFC 8551 §2.5.2)
	Signed       time.Time `json:"signed,omitzero"`
	Learned      time.Time `json:"learned"`
	Accepted     time.Time `json:"accepted,omitzero"`
}

const (
	contactVersion = 1
	stateKnown     = "known"
	statePending   = "pending"
)

func (c *Contact) encode() ([]byte, error) {
	f := contactFile{
		Version: contactVersion, Address: c.Address.String(), State: stateKnown, Certificate: c.Certificate.Raw,
		Signed: c.Signed.UTC(), Learned: c.Learned.UTC(), Accepted: c.Accepted.UTC(),
	}
	if c.Pending {
		f.State = statePending
	}
	for _, i := range c.Chain {
		f.Chain = append(f.Chain, i.Raw)
	}
	if c.Anchor != nil {
		f.Anchor = c.Anchor.Raw
	}
	if len(c.Capabilities) > 0 {
		var err error
		if f.Capabilities, err = cert.EncodeCapabilities(c.Capabilities); err != nil {
			return nil, err
		}
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err == nil && len(data) >= maxContact {
		err = fmt.Errorf("%w: a contact of %d bytes", ErrLimit, len(data))
	}
	return append(data, '\n'), err
}

func readContact(path string) (*Contact, error) {
	data, err := readFileUpTo(path, maxContact)
	if err != nil {
		return nil, err
	}
	return parseContact(data)
}

// parseContact reads a contact's file. What it does not know it refuses: a later
// version may mean something by it that must not be overlooked.
func parseContact(data []byte) (*Contact, error) {
	var f contactFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data behind the contact")
	}
	switch {
	case f.Version != contactVersion:
		return nil, fmt.Errorf("%w: version %d of a contact", ErrUnsupported, f.Version)
	case f.State != stateKnown && f.State != statePending:
		return nil, fmt.Errorf("state %q is neither known nor pending", f.State)
	case len(f.Chain) > maxContactChain:
		return nil, fmt.Errorf("%w: a chain of %d certificates", ErrLimit, len(f.Chain))
	}
	c := &Contact{Pending: f.State == statePending, Signed: f.Signed, Learned: f.Learned, Accepted: f.Accepted}
	return c, c.readFields(&f)
}

func (c *Contact) readFields(f *contactFile) (err error) {
	if c.Address, err = mailbox.Parse(f.Address); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if c.Certificate, err = cert.Parse(f.Certificate); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	for i, der := range f.Chain {
		issuer, err := cert.Parse(der)
		if err != nil {
			return fmt.Errorf("chain, certificate %d: %w", i+1, err)
		}
		c.Chain = append(c.Chain, issuer)
	}
	if f.Anchor != nil {
		if c.Anchor, err = cert.Parse(f.Anchor); err != nil {
			return fmt.Errorf("anchor: %w", err)
		}
	}
	if f.Capabilities != nil {
		if c.Capabilities, err = cert.ParseCapabilities(f.Capabilities); err != nil {
			return err
		}
	}
	return nil
}
