package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// writeContent writes the file "content" of the size given, and "letter.eml", a
// mail of about that size that holds lines of base64, as an attachment does.
func (b *bench) writeContent(size int64) error {
	if b.size == size {
		return nil
	}
	header := "From: alice@example.com\r\nTo: bob@example.com\r\nSubject: bench\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	if err := b.writeLines("content", "", size); err != nil {
		return err
	}
	b.size = size
	return b.writeLines("letter.eml", header, size)
}

func (b *bench) writeLines(name, header string, size int64) (err error) {
	f, err := os.Create(b.path(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 64<<10)
	if _, err := io.WriteString(w, header); err != nil {
		return err
	}
	const width = 57                             // 76 characters of base64
	random := rand.NewChaCha8([32]byte{1, 2, 3}) // the same content in every run
	var line [width]byte
	var text [width/3*4 + 2]byte
	copy(text[len(text)-2:], "\r\n")
	for range size / int64(len(text)) {
		_, _ = random.Read(line[:])
		base64.StdEncoding.Encode(text[:], line[:])
		if _, err := w.Write(text[:]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return w.Flush()
}
