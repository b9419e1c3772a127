package portal

import (
	"net/http"
	"slices"
	"strings"
)

// devices are the guides, in the order of their tabs. Each has its name and its
// lists of steps in text/*.json.
var devices = []string{"thunderbird", "outlook", "newoutlook", "applemail", "iphone", "android", "other"}

type installView struct {
	Devices  []string
	Device   string
	Detected bool // Device was guessed from the browser
	Root     AuthorityCertificate
	Setup    string // file that sets the device up, or ""
	Phone    code   // leads a phone here
	URL      string // where it leads
}

// Key is the key of one of the device's texts, for the template.
func (installView) Key(device, part string) string { return "guide." + device + "." + part }

func (p *portal) install(w http.ResponseWriter, r *http.Request) error {
	root, err := p.Authority.Root(r.Context())
	if err != nil {
		return err
	}
	v := installView{Devices: devices, Device: r.URL.Query().Get("device"), Root: root}
	if !slices.Contains(devices, v.Device) {
		v.Device, v.Detected = deviceOf(r.UserAgent()), true
	}
	v.Setup, v.URL = setups[v.Device], p.URL+"/install"
	if v.Phone, err = newCode(v.URL); err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "install", v)
}

// deviceOf guesses the mail program from the browser's system. Only the order
// of the tabs hangs on it. An iPad says that it is a Macintosh unless asked for
// mobile pages; its tab is one press away.
func deviceOf(userAgent string) string {
	for _, system := range []struct{ mark, device string }{
		{"iPhone", "iphone"}, {"iPad", "iphone"}, {"Android", "android"},
		{"Windows", "outlook"}, {"Macintosh", "applemail"},
	} {
		if strings.Contains(userAgent, system.mark) {
			return system.device
		}
	}
	return "thunderbird"
}
