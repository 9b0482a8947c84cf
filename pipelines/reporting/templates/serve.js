// An image that is dropped or chosen goes to the server as it is; what comes back is shown.
const part = (id) => document.getElementById(id);
let image = null;

async function ask() {
  if (!image) return;
  const asked = image;
  part("answers").replaceChildren(Object.assign(document.createElement("p"), { className: "note", textContent: "Looking\u2026" }));
  const k = document.querySelector("input[name=k]").value;
  const parameters = new URLSearchParams({ k, names: part("names").value });
  let failed = null;
  try {
    const answer = await fetch(`/similar?${parameters}`, { method: "POST", body: asked, headers: { Accept: "text/html" } });
    if (asked !== image) return; // another one came in the meantime
    if (answer.ok) part("answers").innerHTML = await answer.text();
    else failed = (await answer.json()).error;
  } catch {
    failed = "The server did not answer; is it still running, and is the image small enough?";
  }
  if (failed) part("answers").replaceChildren(Object.assign(document.createElement("p"), { className: "error", textContent: failed }));
}

function take(file) {
  if (!file) return;
  image = file;
  part("preview").src = URL.createObjectURL(file);
  part("preview").hidden = false;
  ask();
}

part("file").addEventListener("change", (event) => take(event.target.files[0]));
part("names").addEventListener("change", ask);
part("by-image").addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    part("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}
