package export

import (
	"encoding/binary"

	"github.com/mailseal/mailseal/cert"
)

// What a serialized certificate store is made of ([MS-OSHARED] §2.3.9.1 and
// §2.3.2.5): a header, an entry for each certificate, and an entry of zeros.
const (
	storeVersion     = 0
	storeFileType    = 0x54524543 // "CERT"
	certificateEntry = 0x20
	asn1Encoding     = 1
	entryHeader      = 12 // id, encodingType, length
)

// SST is the serialized certificate store that Set-SmimeConfig of Exchange
// takes: the authorities that are trusted for S/MIME in a tenant.
func SST(certificates []*cert.Certificate) []byte {
	b := binary.LittleEndian.AppendUint32(nil, storeVersion)
	b = binary.LittleEndian.AppendUint32(b, storeFileType)
	for _, c := range certificates {
		b = binary.LittleEndian.AppendUint32(b, certificateEntry)
		b = binary.LittleEndian.AppendUint32(b, asn1Encoding)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(c.Raw))) //nolint:gosec // of a certificate that was parsed
		b = append(b, c.Raw...)
	}
	return append(b, make([]byte, entryHeader)...)
}
