package thunderbird

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// marionette is a connection to a Mozilla program's automation port. A message is
// its length in decimal, a colon, and a JSON array: type, number, then the command
// and its parameters, or the error and the result.
type marionette struct {
	conn net.Conn
	in   *bufio.Reader
	last int
}

// dialMarionette waits for the program to listen, begins a session in it, and chooses
// the context of the program itself instead of that of a page.
func dialMarionette(address string, patience time.Duration) (*marionette, error) {
	var m *marionette
	for end := time.Now().Add(patience); m == nil; time.Sleep(100 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		switch {
		case err == nil:
			m = &marionette{conn: conn, in: bufio.NewReader(conn)}
		case time.Now().After(end):
			return nil, err
		}
	}
	if _, err := m.receive(); err != nil { // the greeting
		return nil, err
	}
	if err := m.command("WebDriver:NewSession", map[string]any{}, nil); err != nil {
		return nil, err
	}
	return m, m.command("Marionette:SetContext", map[string]any{"value": "chrome"}, nil)
}

func (m *marionette) receive() (json.RawMessage, error) {
	length, err := m.in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	message := make([]byte, n)
	_, err = io.ReadFull(m.in, message)
	return message, err
}

func (m *marionette) command(name string, parameters map[string]any, result any) error {
	m.last++
	request, err := json.Marshal([]any{0, m.last, name, parameters})
	if err != nil {
		return err
	}
	if err := m.conn.SetDeadline(time.Now().Add(90 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(request), request); err != nil {
		return err
	}
	answer, err := m.receive()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var parts [4]json.RawMessage
	if err := json.Unmarshal(answer, &parts); err != nil {
		return fmt.Errorf("%s: %w in %s", name, err, answer)
	}
	if string(parts[2]) != "null" {
		return fmt.Errorf("%s: %s", name, parts[2])
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(parts[3], result)
}

// call runs the body of an async function in the program and reads what it returns.
func (m *marionette) call(script string, result any, args ...any) error {
	wrapped := "const done = arguments[arguments.length - 1]; const input = [...arguments];" +
		"(async () => {" + script + "})().then(value => done({value}), error => done({error: String(error) + '\\n' + error.stack}));"
	var answer struct {
		Value struct {
			Value json.RawMessage
			Error string
		}
	}
	parameters := map[string]any{"script": wrapped, "args": append([]any{}, args...), "sandbox": "system", "newSandbox": true, "scriptTimeout": 60000}
	if err := m.command("WebDriver:ExecuteAsyncScript", parameters, &answer); err != nil {
		return err
	}
	if answer.Value.Error != "" {
		return fmt.Errorf("in Thunderbird: %s", answer.Value.Error)
	}
	return json.Unmarshal(answer.Value.Value, result)
}
