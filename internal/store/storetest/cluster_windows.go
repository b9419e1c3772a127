package storetest

import "errors"

// cluster is not there: Debian's PostgreSQL is what the tests run on.
type cluster struct{ template string }

var errNoPostgres = errors.New("tests run PostgreSQL on Unix only")

func startCluster() (*cluster, error)                          { return nil, errNoPostgres }
func (*cluster) leave()                                        {}
func (*cluster) database(string) (string, func() error, error) { return "", nil, errNoPostgres }
