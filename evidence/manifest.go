package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Manifest is the file of a record that lists the digests of all others.
const Manifest = "manifest.sha256"

const (
	manifestName = Manifest
	sealName     = "manifest.tsr"
	sealersName  = "manifest.pem"
)

// manifestOf lists the digest of every file, as `openssl dgst -sha256 -r` and
// sha256sum write it.
func manifestOf(files []file) ([]byte, error) {
	var out bytes.Buffer
	for _, f := range files {
		sum, err := f.sum()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.name, err)
		}
		fmt.Fprintf(&out, "%x *%s\n", sum, f.name)
	}
	return out.Bytes(), nil
}

func (f *file) sum() ([]byte, error) {
	h := sha256.New()
	_, err := io.Copy(h, f.open())
	return h.Sum(nil), err
}

// readManifest returns the digests by name; ok tells whether it is a manifest.
func readManifest(data []byte) (digests map[string][]byte, ok bool) {
	lines := strings.SplitAfter(string(data), "\n")
	if len(lines) > MaxFiles+1 || lines[len(lines)-1] != "" {
		return nil, false
	}
	digests = map[string][]byte{}
	for _, line := range lines[:len(lines)-1] {
		text, name, found := strings.Cut(strings.TrimSuffix(line, "\n"), " *")
		sum, err := hex.DecodeString(text)
		if _, twice := digests[name]; !found || err != nil || len(sum) != sha256.Size || !isName(name) || twice {
			return nil, false
		}
		digests[name] = sum
	}
	return digests, true
}

// faults are what is wrong with the files of a record, each said once.
type faults struct {
	said  []string
	names map[string]bool
}

func (f *faults) add(name, what string) {
	if f.names[name] {
		return
	}
	if f.names == nil {
		f.names = map[string]bool{}
	}
	f.names[name] = true
	f.said = append(f.said, name+" "+what)
}

// exchanged compares the files of a record with its manifest.
func (r *Record) exchanged(f *faults) error {
	data, here := r.small[manifestName]
	digests, ok := readManifest(data)
	switch {
	case !here:
		f.add(manifestName, "is missing from the record")
		return nil
	case !ok:
		f.add(manifestName, "is no list of digests")
		return nil
	}
	for _, name := range r.names {
		if name == manifestName || name == sealName {
			continue
		}
		sum, err := r.sum(name)
		if err != nil {
			return err
		}
		switch want, listed := digests[name]; {
		case !listed:
			f.add(name, "is not in the manifest")
		case !bytes.Equal(want, sum):
			f.add(name, "is not the one that the manifest lists")
		}
	}
	var missing []string
	for name := range digests {
		if !slices.Contains(r.names, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	for _, name := range missing {
		f.add(name, "is missing from the record")
	}
	return nil
}

// sum is the digest of a file, which may be large and is asked for by every manifest.
func (r *Record) sum(name string) ([]byte, error) {
	if sum, known := r.sums[name]; known {
		return sum, nil
	}
	sum, err := r.file(name).sum()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if r.sums == nil {
		r.sums = map[string][]byte{}
	}
	r.sums[name] = sum
	return sum, nil
}

// file is one of the record, by its name.
func (r *Record) file(name string) *file {
	f := &file{name: name, data: r.small[name]}
	switch name {
	case messageName:
		f.from = r.Message
	case r.contentName():
		f.from = r.Content
	}
	return f
}
