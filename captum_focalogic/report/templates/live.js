(() => {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const here = live.dataset.live;
  const form = live.querySelector("[data-live-form]");
  const part = (name) => live.querySelector(`[data-live-${name}]`);

  const complain = (text) => {
    const box = part("error");
    box.hidden = !text;
    box.textContent = text;
  };

  const silent = "The server does not answer; it may have been stopped.";
  // A question to the server; its errors come as a sentence.
  const post = async (address, body) => {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": body instanceof Blob ? "application/octet-stream" : "application/json" },
      body: body instanceof Blob ? body : JSON.stringify(body),
    }).catch(() => { throw new Error(silent); });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error || `the server answered ${answer.status}`);
    return said;
  };

  const drop = live.querySelector("[data-drop]");
  const asked = drop.querySelector("span").textContent;
  const busy = (whether) => form.querySelectorAll("button, select").forEach((item) => { item.disabled = whether; });
  const go = async (address, body) => {
    complain("");
    busy(true);
    try {
      const { location: next } = await post(address, body);
      window.location.assign(next);
    } catch (error) {
      complain(error.message);
      drop.querySelector("span").textContent = asked;
      busy(false);
    }
  };

  const chosen = () => {
    const fields = Object.fromEntries(new FormData(form));
    return { ...fields, zoom: Number(fields.zoom), max_evaluations: Number(fields.max_evaluations) };
  };

  // ---- an image

  const open = (file) => {
    if (!file) return;
    drop.querySelector("span").textContent = `${file.name} is being opened …`;
    const settings = new URLSearchParams({ title: file.name, settings: JSON.stringify(chosen()) });
    go(`${live.dataset.live.replace(/\/c\/[^/]*$/, "")}/open?${settings}`, file);
  };
  drop.querySelector("[data-file]").addEventListener("change", (event) => open(event.target.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    open(event.dataTransfer.files[0]);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(`${here}/again`, chosen());
  });
  const beside = live.querySelector("[data-beside]");
  if (beside) beside.addEventListener("change", () => { if (beside.value) go(`${here}/beside`, { model: beside.value }); });

  // ---- what the model says to a selection

  const asking = new WeakMap();
  const ask = async (entry) => {
    const kept = asking.get(entry);
    try {
      const { answers } = await post(`${entry.dataset.asks}/ask`, { states: [kept] });
      entry.dispatchEvent(new CustomEvent("answered", { detail: { kept, answer: answers[0] } }));
      complain("");
    } catch (error) {
      complain(error.message);
    }
    // The last selection counts; what was left behind meanwhile is not asked.
    const next = asking.get(entry);
    if (next !== kept) ask(entry); else asking.delete(entry);
  };
  document.addEventListener("unasked", ({ target, detail }) => {
    const waiting = asking.has(target);
    asking.set(target, detail);
    if (!waiting) ask(target);
  });
  // Entries were there before this script: what they show now may be unasked too.
  let touched = false;
  const touch = (event) => {
    if (!event.target.closest("[data-entry]")) return;
    touched = true;
    // From now on what changes is what somebody asked, and is spoken.
    document.querySelectorAll("[data-spoken]").forEach((item) => { item.setAttribute("aria-live", "polite"); });
  };
  document.addEventListener("pointerdown", touch);
  document.addEventListener("keydown", touch);

  // ---- a search under way

  const stop = part("stop");
  if (stop) {
    stop.addEventListener("click", () => {
      stop.disabled = true;
      post(`${here}/stop`, {}).catch((error) => complain(error.message));
    });
  }
  if (live.dataset.state !== "searching") return;
  const events = new EventSource(`${here}/events`);
  let smallest = null;
  events.addEventListener("message", ({ data }) => {
    const progress = JSON.parse(data);
    part("progress").value = progress.asked;
    part("status").textContent = progress.said;
    // Counts are for the eye; a smaller set is news.
    if (progress.regions !== smallest) part("spoken").textContent = progress.said;
    smallest = progress.regions;
    const entry = document.querySelector("[data-entry]");
    if (progress.best && !touched) entry.dispatchEvent(new CustomEvent("keep", { detail: progress.best }));
    if (progress.state === "searching") return;
    events.close();
    // Somebody who is asking is not interrupted by a new page.
    if (!touched) { window.location.reload(); return; }
    stop.hidden = true;
    part("progress").hidden = true;
    const show = document.createElement("button");
    show.type = "button";
    show.textContent = "Show the answer";
    show.addEventListener("click", () => window.location.reload());
    part("status").after(show);
  });
  events.addEventListener("error", () => { part("status").textContent = silent; });
})();
