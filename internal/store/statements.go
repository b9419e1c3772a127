package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxStatements bounds how many statements a connection keeps prepared. As many
// of this package are used again and again; those of migrations are not.
const maxStatements = 256

// sqliteConnector makes connections to SQLite that keep their statements
// prepared: there, to parse a statement takes longer than to run it. PostgreSQL's
// driver does so by itself.
type sqliteConnector struct {
	driver driver.Driver
	dsn    string
}

// openSQLitePool is sql.Open with such connections.
func openSQLitePool(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	c := &sqliteConnector{db.Driver(), dsn}
	return sql.OpenDB(c), db.Close() // it has opened nothing yet
}

// Driver implements driver.Connector.
func (c *sqliteConnector) Driver() driver.Driver { return c.driver }

// Connect implements driver.Connector.
func (c *sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T lacks a method", conn), conn.Close())
	}
	return &preparedConn{whole, map[string]preparedStmt{}}, nil
}

// sqliteConn is what database/sql asks of the driver's connection.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type preparedStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparedConn is a connection with its statements. One that is running is not
// among them, so that nothing runs twice at a time.
type preparedConn struct {
	sqliteConn
	statements map[string]preparedStmt
}

// take gives a statement to one who puts it back.
func (c *preparedConn) take(ctx context.Context, query string) (preparedStmt, error) {
	if s, found := c.statements[query]; found {
		delete(c.statements, query)
		return s, nil
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := stmt.(preparedStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T lacks a method", stmt), stmt.Close())
	}
	return s, nil
}

// put keeps a statement for the next time, in the place of any other where there
// are too many. One that failed is not kept.
func (c *preparedConn) put(query string, s preparedStmt, failed error) (err error) {
	if failed != nil || c.statements[query] != nil {
		return s.Close()
	}
	if len(c.statements) >= maxStatements {
		for other, s := range c.statements {
			delete(c.statements, other)
			err = s.Close()
			break
		}
	}
	c.statements[query] = s
	return err
}

// BeginTx implements driver.ConnBeginTx. One that writes locks the file at once.
// A BEGIN is not given up half way: the connection would go back to the pool
// inside of a transaction that nobody knows of.
func (c *preparedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	begin := `BEGIN IMMEDIATE`
	if o.ReadOnly {
		begin = `BEGIN`
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(context.WithoutCancel(ctx), begin, nil); err != nil {
		return nil, err
	}
	return preparedTx{c}, nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	return result, errors.Join(err, c.put(query, s, err))
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, c.put(query, s, err))
	}
	return &preparedRows{rows, c, query, s}, nil
}

// Close implements driver.Conn.
func (c *preparedConn) Close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	clear(c.statements)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// preparedRows gives the statement back when all rows were read or left.
type preparedRows struct {
	driver.Rows
	conn  *preparedConn
	query string
	stmt  preparedStmt // nil once given back
}

// Close implements driver.Rows.
func (r *preparedRows) Close() error {
	err := r.Rows.Close()
	if r.stmt != nil {
		err = errors.Join(err, r.conn.put(r.query, r.stmt, err))
		r.stmt = nil
	}
	return err
}

// preparedTx ends a transaction.
type preparedTx struct{ conn *preparedConn }

// Commit implements driver.Tx. What could not be committed is over all the same.
func (t preparedTx) Commit() error {
	_, err := t.conn.ExecContext(context.Background(), `COMMIT`, nil)
	if err != nil {
		_ = t.Rollback() // SQLite may have done so already
	}
	return err
}

// Rollback implements driver.Tx.
func (t preparedTx) Rollback() error {
	_, err := t.conn.ExecContext(context.Background(), `ROLLBACK`, nil)
	return err
}
