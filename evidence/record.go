package evidence

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/mailseal/mailseal/smime"
)

// Limits on a record. A mail of 64 MiB with a thousand recipients is far below.
const (
	// MaxFiles is the number of files in a record.
	MaxFiles = 1000
	// MaxName is the length of a file's name.
	MaxName = 64
	// MaxContent is the size of each of the two files that may be large: the mail
	// and what was signed.
	MaxContent = 1 << 30
	// MaxSmall is the size of any other, and MaxSmallTotal that of all of them.
	MaxSmall      = 64 << 20
	MaxSmallTotal = 256 << 20
	// maxDirectory is the size of the list of the files, of which each takes some
	// hundred octets.
	maxDirectory = 512 << 10
)

// ErrMalformed: the file is no record, or one that goes beyond the limits.
var ErrMalformed = errors.New("evidence: malformed record")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// IsRecord tells whether a file that begins with head may be a record.
func IsRecord(head []byte) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// Record is an opened record. Close it when done with it.
type Record struct {
	Source
	// Statement is verdict.json, which whoever made the record wrote: nothing in
	// it is proven.
	Statement []byte

	names  []string
	small  map[string][]byte
	spools []smime.Spool
	seals  []*seal // the newest first
	sums   map[string][]byte
}

// Close forgets what had to be unpacked.
func (r *Record) Close() error {
	var err error
	for _, s := range r.spools {
		err = errors.Join(err, s.Close())
	}
	r.spools = nil
	return err
}

// Read opens a record: a ZIP file, also one that was packed anew by another
// program. What was signed is read from src, or unpacked into a spool where it is
// compressed; nil keeps it in memory, up to smime.MaxMemory. Errors wrap
// ErrMalformed, or are src's own.
func Read(src io.ReaderAt, size int64, spool func() (smime.Spool, error)) (*Record, error) {
	directory, err := checkDirectory(src, size)
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(src, size)
	if err != nil {
		return nil, malformed("%v", err)
	}
	if len(z.File) > MaxFiles {
		return nil, malformed("more than %d files", MaxFiles)
	}
	if err := checkPlaces(src, z.File, directory); err != nil {
		return nil, err
	}
	r := &Record{small: map[string][]byte{}}
	u := &unpacking{src: src, size: size, spool: spool, record: r, left: MaxSmallTotal}
	for _, f := range z.File {
		if err := u.file(f); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	if r.seals, err = r.findSeals(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.Signature, r.Statement = r.small[signatureName], r.small[verdictName]
	if r.Content == nil || r.Signature == nil {
		return nil, errors.Join(malformed("it has no %s or no %s", signatureName, r.contentName()), r.Close())
	}
	return r, nil
}

// checkDirectory bounds the list of files before it is read, since package zip takes
// it into memory whole, and returns where it begins. It ends where the end record
// begins, and with that the file ends: a comment could hold another end record, in
// which other programs would find other files.
func checkDirectory(src io.ReaderAt, size int64) (begins int64, err error) {
	const endSize = 22
	end := make([]byte, endSize)
	if size < endSize {
		return 0, malformed("not a ZIP file, or cut off")
	}
	if _, err := src.ReadAt(end, size-endSize); err != nil && err != io.EOF {
		return 0, fmt.Errorf("read the record: %w", err)
	}
	if !bytes.HasPrefix(end, []byte("PK\x05\x06")) || binary.LittleEndian.Uint16(end[20:]) != 0 {
		return 0, malformed("not a ZIP file, or cut off, or with a comment")
	}
	files, length, offset := binary.LittleEndian.Uint16(end[10:]), binary.LittleEndian.Uint32(end[12:]), binary.LittleEndian.Uint32(end[16:])
	if files > MaxFiles || length > maxDirectory || offset == 1<<32-1 {
		return 0, malformed("a list of %d files in %d octets", files, length)
	}
	if begins = size - endSize - int64(length); begins < 0 || int64(offset) != begins {
		return 0, malformed("the list of files is not where it should be")
	}
	return begins, nil
}

// checkPlaces holds the files to one after the other, from the beginning to the list
// of files, each with one name. Programs that read the file from its beginning, as
// some do, then find the same files as those that read the list.
func checkPlaces(src io.ReaderAt, files []*zip.File, directory int64) error {
	const headerSize = 30
	type place struct {
		*zip.File
		data int64
	}
	var places []place
	for _, f := range files {
		at, err := f.DataOffset()
		if err != nil {
			return malformed("%.80q: %v", f.Name, err)
		}
		places = append(places, place{f, at})
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.data, b.data) })
	end := int64(0)
	for _, f := range places {
		header := make([]byte, headerSize+len(f.Name))
		begins, err := nextHeader(src, end)
		if err != nil {
			return malformed("%.80q does not follow what is before it", f.Name)
		}
		if _, err := src.ReadAt(header, begins); err != nil {
			return malformed("%.80q: %v", f.Name, err)
		}
		name, extra := int64(binary.LittleEndian.Uint16(header[26:])), int64(binary.LittleEndian.Uint16(header[28:]))
		if begins+headerSize+name+extra != f.data || string(header[headerSize:]) != f.Name || name != int64(len(f.Name)) {
			return malformed("%.80q does not follow what is before it, or has another name there", f.Name)
		}
		if f.CompressedSize64 > uint64(directory) || f.data+int64(f.CompressedSize64) > directory {
			return malformed("%.80q is cut off", f.Name)
		}
		end = f.data + int64(f.CompressedSize64)
	}
	if directory-end > maxDescriptor {
		return malformed("something lies between the files and their list")
	}
	return nil
}

// maxDescriptor is the size of what may follow a file: its checksum and sizes, for
// programs that knew them too late for the header.
const maxDescriptor = 24

// nextHeader finds the header of the file that follows what ends at a place.
func nextHeader(src io.ReaderAt, end int64) (int64, error) {
	between := make([]byte, maxDescriptor+4)
	n, err := src.ReadAt(between, end)
	if err != nil && err != io.EOF {
		return 0, err
	}
	for _, size := range []int{0, 12, 16, 20, maxDescriptor} {
		if size > 0 && end == 0 {
			break
		}
		if size+4 <= n && bytes.HasPrefix(between[size:], []byte("PK\x03\x04")) {
			return end + int64(size), nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// unpacking is a record on its way in.
type unpacking struct {
	src    io.ReaderAt
	size   int64
	spool  func() (smime.Spool, error)
	record *Record
	left   int64 // octets of small files
}

func (u *unpacking) file(f *zip.File) error {
	r := u.record
	if !isName(f.Name) {
		return malformed("a file is named %.80q", f.Name)
	}
	for _, n := range r.names {
		if n == f.Name {
			return malformed("%s is there twice", f.Name)
		}
	}
	r.names = append(r.names, f.Name)
	if f.Flags&1 != 0 || f.Method != zip.Store && f.Method != zip.Deflate {
		return malformed("%s is encrypted or packed in a way that is not known", f.Name)
	}
	var err error
	switch f.Name {
	case messageName:
		r.Message, err = u.large(f)
	case mailContentName, fileContentName:
		if r.Content != nil {
			return malformed("it has both %s and %s", mailContentName, fileContentName)
		}
		r.Content, err = u.large(f)
	default:
		r.small[f.Name], err = u.read(f)
	}
	return err
}

// isName holds the names to those that mean the same on every system.
func isName(name string) bool {
	if name == "" || len(name) > MaxName || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// read unpacks a small file. Sizes that a ZIP file claims are not believed.
func (u *unpacking) read(f *zip.File) ([]byte, error) {
	limit := min(MaxSmall, u.left)
	in, err := f.Open()
	if err != nil {
		return nil, malformed("%s: %v", f.Name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, malformed("%s: %v", f.Name, err)
	}
	if int64(len(data)) > limit {
		return nil, malformed("%s is too large", f.Name)
	}
	u.left -= int64(len(data))
	return data, nil
}

// large makes a file readable at any place.
func (u *unpacking) large(f *zip.File) (*io.SectionReader, error) {
	if f.UncompressedSize64 > MaxContent {
		return nil, malformed("%s is larger than %d MiB", f.Name, MaxContent>>20)
	}
	if f.Method == zip.Store {
		at, err := f.DataOffset()
		if err != nil {
			return nil, malformed("%s: %v", f.Name, err)
		}
		n := int64(f.UncompressedSize64)
		if f.CompressedSize64 != f.UncompressedSize64 || at < 0 || at > u.size-n {
			return nil, malformed("%s is cut off", f.Name)
		}
		return io.NewSectionReader(u.src, at, n), nil
	}
	in, err := f.Open()
	if err != nil {
		return nil, malformed("%s: %v", f.Name, err)
	}
	defer in.Close()
	if u.spool == nil {
		data, err := io.ReadAll(io.LimitReader(in, smime.MaxMemory+1))
		if err != nil || len(data) > smime.MaxMemory {
			return nil, malformed("%s: compressed, and damaged or too large for memory", f.Name)
		}
		return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), nil
	}
	s, err := u.spool()
	if err != nil {
		return nil, err
	}
	u.record.spools = append(u.record.spools, s)
	n, err := io.Copy(s, io.LimitReader(in, MaxContent+1))
	switch {
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, malformed("%s: %v", f.Name, err)
	case err != nil:
		return nil, fmt.Errorf("unpack %s: %w", f.Name, err)
	case n > MaxContent:
		return nil, malformed("%s is larger than %d MiB", f.Name, MaxContent>>20)
	}
	return io.NewSectionReader(s, 0, n), nil
}

// writeZIP writes the files as they are, not compressed, so that anybody finds
// them in there with any tool, or with none. The result depends on nothing but
// the files and the time.
func writeZIP(dst io.Writer, files []file, at time.Time) error {
	z := zip.NewWriter(dst)
	for _, f := range files {
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, f.open())
		if err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		w, err := z.CreateRaw(&zip.FileHeader{
			Name: f.name, Method: zip.Store, Modified: at.UTC().Truncate(time.Second),
			CRC32: sum.Sum32(), CompressedSize64: uint64(n), UncompressedSize64: uint64(n),
		})
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, f.open()); err != nil {
			return err
		}
	}
	return z.Close()
}
