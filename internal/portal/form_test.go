package portal

import (
	"strings"
	"testing"
)

// TestFields draws every kind of field with a fault and markup in its value: the
// fault stands beside the field and in the summary, which leads to it.
func TestFields(t *testing.T) {
	tongues, err := loadTongues()
	if err != nil {
		t.Fatal(err)
	}
	tongue := tongues[0]
	f := filled("name", `"><script>`)
	f.wrong("name", "code.error.wrong", "left", "<3")
	f.wrong("", "report.error.problem")
	in, err := newInput(f, "name", "apply.email", "type", "email", "required", "max", 10, newOption("a", "form.email"), newOption(`"><script>`, "form.name"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"field", "area", "select", "radios", "check"} {
		var b strings.Builder
		page := tongue.pages["start"]
		if err := page.ExecuteTemplate(&b, "faults", f); err != nil {
			t.Fatal(err)
		}
		if err := page.ExecuteTemplate(&b, kind, in); err != nil {
			t.Fatal(err)
		}
		body := b.String()
		for _, want := range []string{`href="#name"`, `id="name"`, `name-hint name-error`, "Tries left: &lt;3.", `id="name-error"`, "required"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %s in\n%s", kind, want, body)
			}
		}
		if strings.Contains(body, "<script>") {
			t.Errorf("%s: a value became markup:\n%s", kind, body)
		}
		if kind != "radios" && !strings.Contains(body, `aria-invalid="true"`) {
			t.Errorf("%s: the field does not say that it is wrong", kind)
		}
		if chosen := strings.Count(body, " selected") + strings.Count(body, " checked"); kind != "field" && kind != "area" && chosen != 1 {
			t.Errorf("%s: %d choices are made", kind, chosen)
		}
	}
	if _, err := newInput(f, "name", "apply.email", "colour", "red"); err == nil {
		t.Error("an unknown word is taken")
	}
}
