package server

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/pdf"
)

// TestUsualFont passes over places where nothing is, and not over a file that is
// no font.
func TestUsualFont(t *testing.T) {
	missing, wrong := filepath.Join(t.TempDir(), "missing.ttf"), filepath.Join(t.TempDir(), "wrong.ttf")
	if err := os.WriteFile(wrong, []byte("no font"), 0o600); err != nil {
		t.Fatal(err)
	}
	if font, err := usualFont([]string{missing}); font != nil || err != nil {
		t.Errorf("nothing there: %v, %v", font, err)
	}
	if font, err := usualFont([]string{missing, wrong}); font != nil || !errors.Is(err, pdf.ErrNoFont) {
		t.Errorf("no font: %v, %v", font, err)
	}
	s := &system{Config: Config{Settings: &config.Settings{Portal: config.Portal{ReportFont: missing}}}}
	if _, err := s.reportFont(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the font of the settings is missing: %v", err)
	}
}
