package cli_test

import (
	"context"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// claim makes the first administrator of a data folder: claim DIR ADDRESS
func claim(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: claim DIR ADDRESS")
	}
	db, err := store.Open(context.Background(), filepath.Join(ts.MkAbs(args[0]), "mailseal.db"))
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	service := auth.New(auth.Options{Store: db, Clock: time.Now, Cost: auth.LeastCost})
	code, err := service.FirstCode(context.Background())
	ts.Check(err)
	_, _, err = service.ClaimFirstAdministrator(context.Background(), code, args[1], "", "five unrelated words stand here")
	ts.Check(err)
}
