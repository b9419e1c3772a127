package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"
)

// result is the best of several runs; the peak is the worst.
type result struct {
	CPU  time.Duration `json:"cpu"` // user and system
	Wall time.Duration `json:"wall"`
	Peak int64         `json:"peak,omitempty"` // resident octets
	Runs int           `json:"runs"`
}

func (r *result) add(run result) {
	if r.Runs == 0 || run.CPU < r.CPU {
		r.CPU = run.CPU
	}
	if r.Runs == 0 || run.Wall < r.Wall {
		r.Wall = run.Wall
	}
	r.Peak, r.Runs = max(r.Peak, run.Peak), r.Runs+1
}

// results is what has been measured, kept in a file so that a long run can go on
// where it was stopped.
type results struct {
	path   string
	Origin origin                        `json:"machine"`
	Floors map[string]float64            `json:"floors"` // nanoseconds of CPU: per octet, or per operation
	Cells  map[string]map[string]*result `json:"cells"`  // by cell, then by program
	Rates  map[string]*rate              `json:"rates"`  // by the sender's key
	Inits  []initialization              `json:"inits"`
}

// load reads the file at path, or begins a new one.
func load(path string) (*results, error) {
	r := &results{path: path, Floors: map[string]float64{}, Cells: map[string]map[string]*result{}, Rates: map[string]*rate{}}
	if path == "" {
		return r, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(data, r)
	if r.Rates == nil { // of a file that an older version wrote
		r.Rates = map[string]*rate{}
	}
	return r, err
}

// save replaces the file in one step.
func (r *results) save() error {
	if r.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(r.path+".new", r.path)
}
