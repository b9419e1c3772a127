package main

import (
	"fmt"
	"slices"
	"strings"
)

// cell is one line of the table: a task on a message of one form and size.
type cell struct {
	where      string // process or library
	form       string // cms (DER) or mail (S/MIME)
	task       string
	variant    string // the key that signs, or the cipher
	size       int64
	recipients int // of what is encrypted
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// tasks, of which "verify" ends with the verdict, and "open" has the content written.
var tasks = []string{"sign", "verify", "open", "encrypt", "decrypt", "seal"}

func (c cell) String() string {
	return fmt.Sprintf("%s %s %s %s %s x%d", c.where, c.form, c.task, c.variant, sizeName(c.size), c.recipients)
}

func (c cell) signs() bool { return signs(c.task) }

// signs tells of a task that it is about a signature alone.
func signs(task string) bool { return task == "sign" || task == "verify" || task == "open" }

func sizeName(n int64) string {
	switch {
	case n >= gib:
		return fmt.Sprintf("%d GiB", n/gib)
	case n >= mib:
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d KiB", n/kib)
}

// cells lists what is measured, by size, so that the files of one size are made
// once. The short run leaves out 1 GiB, and many recipients of large messages:
// their cost does not depend on the size.
func cells(where string, full bool) []cell {
	sizes := []int64{4 * kib, mib, 64 * mib}
	if full && where == "process" {
		sizes = append(sizes, gib)
	}
	var all []cell
	for _, size := range sizes {
		for _, form := range []string{"cms", "mail"} {
			for _, task := range tasks {
				if task == "open" && (form != "mail" || where != "process") {
					continue
				}
				for _, variant := range variants(task, size) {
					for _, n := range crowds(task, size, full) {
						all = append(all, cell{where, form, task, variant, size, n})
					}
				}
			}
		}
	}
	return all
}

func variants(task string, size int64) []string {
	switch {
	case task == "seal":
		return []string{"cbc"}
	case task == "encrypt" || task == "decrypt":
		return []string{"cbc", "gcm"}
	case size == 4*kib:
		return []string{"rsa", "p256"}
	}
	return []string{"rsa"}
}

func crowds(task string, size int64, full bool) []int {
	switch {
	case signs(task), size == gib:
		return []int{1}
	case size == 4*kib || full:
		return []int{1, 100, crowd}
	}
	return []int{1}
}

// crowd is the largest number of recipients.
const crowd = 1000

// selected keeps the cells whose name has every word of the filter.
func selected(all []cell, filter string) []cell {
	words := strings.Fields(filter)
	return slices.DeleteFunc(all, func(c cell) bool {
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(c.String(), w) })
	})
}
