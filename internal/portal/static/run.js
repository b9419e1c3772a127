// The page of a run: follows its events, and shows each. The page says the same
// without this script when it is loaded again.

const run = document.getElementById("run");
const page = (id) => document.getElementById(id);

function show(now) {
  for (const id of ["done", "total", "waiting", "failed", "state"]) page(id).textContent = now[id];
  page("state").className = `state ${now.class}`;
  page("bar").max = now.of;
  page("bar").value = now.ended;
  if (page("said").textContent !== now.said) page("said").textContent = now.said;
}

if (run.dataset.live === "true") {
  const events = new EventSource(run.dataset.events);
  events.addEventListener("run", (event) => {
    const now = JSON.parse(event.data);
    show(now);
    if (!now.live) {
      events.close();
      location.reload(); // what failed, and what can be done now
    }
  });
}
