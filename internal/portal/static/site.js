// Small comforts of every page; nothing depends on them.

// A button with data-copy copies the text of the element with that id.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // given to secure contexts only
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// A form is sent once: a second press would ask for a second mail. The forms
// that make or open keys are their own script's, and one that brings a file leaves the page
// where it is.
const forms = document.querySelectorAll('form[method="post"]:not(#enroll, #recover, [data-again])');
for (const form of forms) {
  form.addEventListener("submit", (event) => {
    if (form.ariaBusy === "true") event.preventDefault();
    form.ariaBusy = "true";
  });
}

// Coming back by the browser's history brings the page as it was left.
window.addEventListener("pageshow", () => {
  for (const form of forms) form.ariaBusy = null;
});
