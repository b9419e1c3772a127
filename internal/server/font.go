package server

import (
	"errors"
	"io/fs"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/pdf"
)

// reportFont is what reports are set in: the font of the settings, or one of the
// usual ones, or nil. It is looked for anew for each report, so that a package
// that was installed meanwhile is found.
func (s *system) reportFont() (*pdf.Font, error) {
	if s.Settings != nil && s.Settings.Portal.ReportFont != "" {
		return config.LoadFont(s.Settings.Portal.ReportFont)
	}
	return usualFont(pdf.UsualFonts)
}

func usualFont(paths []string) (*pdf.Font, error) {
	for _, path := range paths {
		font, err := config.LoadFont(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return font, err
	}
	return nil, nil
}
