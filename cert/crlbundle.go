package cert

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxBundleCRLs limits the lists in one file.
const MaxBundleCRLs = 10000

// ParseCRLs reads revocation lists as files have them: PEM ("X509 CRL"; other
// blocks are passed over), one list in DER or BER, or several in DER in a row.
// Finding none is an error.
func ParseCRLs(data []byte) ([]*CRL, error) {
	list, err := parseCRLs(data)
	if err == nil && len(list) == 0 {
		err = errors.New("none found; PEM and DER are read")
	}
	if err != nil {
		return nil, within("read CRLs", err)
	}
	return list, nil
}

func parseCRLs(data []byte) ([]*CRL, error) {
	// A SEQUENCE of more than 127 octets, or of indefinite length: as in
	// parseAll.
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) < 2 || data[0] != 0x30 || data[1] < 0x80 {
		return parsePEMCRLs(data)
	}
	if l, err := parseCRL(data); err == nil {
		return []*CRL{l}, nil
	}
	var list []*CRL
	for s := cryptobyte.String(data); len(bytes.TrimLeft(s, " \t\r\n")) > 0; {
		var element cryptobyte.String
		if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
			return nil, malformed("CRL")
		}
		if err := appendCRL(&list, element); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func parsePEMCRLs(data []byte) (list []*CRL, err error) {
	other := ""
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			if list == nil && other != "" {
				return nil, fmt.Errorf("PEM of type %q, not X509 CRL", other)
			}
			return list, nil
		}
		if block.Type != "X509 CRL" { // RFC 7468 §6
			other = block.Type
			continue
		}
		if err := appendCRL(&list, block.Bytes); err != nil {
			return nil, fmt.Errorf("PEM block after %d lists: %w", len(list), err)
		}
	}
}

func appendCRL(list *[]*CRL, der []byte) error {
	l, err := parseCRL(der)
	if err != nil {
		return err
	}
	if *list = append(*list, l); len(*list) > MaxBundleCRLs {
		return fmt.Errorf("more than %d", MaxBundleCRLs)
	}
	return nil
}
