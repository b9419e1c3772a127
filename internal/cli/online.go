package cli

import (
	"fmt"
	"path/filepath"

	"github.com/mailseal/mailseal/revocation"
	"github.com/mailseal/mailseal/revocation/fetch"
)

// fetcher is what --revocation asks for: somebody who asks the sources that
// certificates name, or for "off" nobody. What came is kept in the person's home
// until its time is over.
func (p *program) fetcher(mode string) (revocation.Fetcher, error) {
	switch mode {
	case "off":
		return nil, nil
	case "online":
	default:
		return nil, usage(fmt.Errorf("--revocation %q is not known", mode), "it is online or off")
	}
	home, err := p.home()
	if err != nil {
		return nil, err
	}
	return fetch.New(p.ctx, &fetch.Options{
		Cache: fetch.Folder(filepath.Join(home, "revocation")), Now: p.env.Now(), Loopback: p.env.Loopback,
	}), nil
}
