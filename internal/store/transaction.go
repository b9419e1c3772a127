package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// errSilent: the driver was waited for too long and its connection is closed.
var errSilent = fmt.Errorf("%w: it does not answer", ErrUnavailable)

// transaction is a transaction of the database on a connection of its own.
//
// Its context is not a caller's: the driver closes the connection of a context
// that ends, and a caller may leave at any moment. It ends when a single answer
// takes longer than the engine's patience.
type transaction struct {
	ctx     context.Context
	cancel  context.CancelFunc
	engine  *engine
	timer   *time.Timer // set while an answer is waited for
	conn    *sql.Conn
	tx      *sql.Tx
	waiting []statement // to be sent with the next one
	lost    error       // why the state of the savepoints is not known
	newest  *AuditEntry // that was written here, and nothing was taken back since
}

// begin begins a transaction on a connection of the pool, which it waits for as
// long as ctx allows.
func (e *engine) begin(ctx context.Context, pool *sql.DB, o *sql.TxOptions) (*transaction, error) {
	t := &transaction{ctx: context.Background(), cancel: func() {}, engine: e}
	if e.patience != 0 {
		t.ctx, t.cancel = context.WithCancel(t.ctx)
	}
	var err error
	if t.conn, err = e.conn(ctx, pool); err != nil {
		t.cancel()
		return nil, fmt.Errorf("store: begin: %w", err)
	}
	defer t.watch()()
	if t.tx, err = t.conn.BeginTx(t.ctx, o); err != nil {
		err = t.explain(err)
		t.close()
		return nil, fmt.Errorf("store: begin: %w", err)
	}
	return t, nil
}

// conn takes a connection of the pool: a free one, which the driver may ask
// whether it is still there, or a new one.
func (e *engine) conn(ctx context.Context, pool *sql.DB) (*sql.Conn, error) {
	patient, cancel := ctx, context.CancelFunc(func() {})
	if e.patience != 0 {
		patient, cancel = context.WithTimeout(ctx, e.patience)
	}
	defer cancel()
	conn, err := pool.Conn(patient)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return nil, errSilent
	}
	return conn, classify(err)
}

// watch begins to wait; the returned function ends that.
func (t *transaction) watch() (done func()) {
	if t.engine.patience == 0 {
		return func() {}
	}
	t.timer = time.AfterFunc(t.engine.patience, t.cancel)
	return func() { t.timer.Stop() }
}

// heard begins to wait anew: something came.
func (t *transaction) heard() {
	if t.timer != nil {
		t.timer.Reset(t.engine.patience)
	}
}

// endless lets the statements of the transaction take as long as they want.
func (t *transaction) endless() error {
	if t.engine.endless == "" {
		return nil
	}
	return t.control(t.engine.endless)
}

// explain says what an error of the driver means.
func (t *transaction) explain(err error) error {
	if err != nil && t.ctx.Err() != nil {
		return errSilent
	}
	return classify(err)
}

// control runs a statement that is about the transaction itself.
func (t *transaction) control(statement string, args ...any) error {
	defer t.watch()()
	_, err := t.tx.ExecContext(t.ctx, statement, args...)
	return t.explain(err)
}

func (t *transaction) commit() error {
	defer t.close()
	defer t.watch()()
	if err := t.tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", t.explain(err))
	}
	return nil
}

// rollback fails only when the connection is gone, and then nothing was
// committed.
func (t *transaction) rollback() {
	defer t.close()
	defer t.watch()()
	_ = t.tx.Rollback()
}

// close gives the connection back; the pool throws a broken one away.
func (t *transaction) close() {
	_ = t.conn.Close()
	t.cancel()
}
