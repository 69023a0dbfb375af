// A technician's steps without network: kept in this browser's database, sent in order with a key each, never twice, never silently lost.

const root = document.body;
const NEXT = { start: "arrive", arrive: "complete", complete: null };
const MOST = 60_000_000; // bytes that may wait: some 250 photos
const MB = 1_000_000;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

let base = null, sending = null, trouble = "", pause = 15_000, later = 0;

const done = (request) => new Promise((good, bad) => {
  request.onsuccess = () => good(request.result);
  request.onerror = () => bad(request.error);
});

// `waiting` holds what is to be sent in its order, `refused` what was not accepted; both outlive page, browser and phone.
function opened() {
  base ??= new Promise((good, bad) => {
    const request = indexedDB.open(`drumbeat.${root.dataset.user}`, 1);
    request.onupgradeneeded = () => { for (const name of ["waiting", "refused"]) request.result.createObjectStore(name, { keyPath: "id", autoIncrement: true }); };
    request.onsuccess = () => good(request.result);
    request.onerror = () => bad(request.error);
  });
  return base;
}

// All changes of one call are done together or not at all.
async function change(work) {
  const held = (await opened()).transaction(["waiting", "refused"], "readwrite", { durability: "strict" });
  const over = new Promise((good, bad) => { held.oncomplete = good; held.onabort = () => bad(held.error); });
  work(held.objectStore("waiting"), held.objectStore("refused"));
  await over;
}
const rows = async (name) => done((await opened()).transaction(name).objectStore(name).getAll());

// Send what waits, oldest first; several tabs take turns by a lock. Answers true when nothing waits any more.
export function flush() {
  sending ??= (navigator.locks ? navigator.locks.request(`drumbeat.${root.dataset.user}`, sendAll) : sendAll())
    .finally(() => { sending = null; show(); });
  return sending;
}

async function sendAll() {
  clearTimeout(later);
  const tags = {}; // a step of an order stands on the version that the step before it made
  for (let [row] = await rows("waiting"); row; [row] = await rows("waiting")) {
    trouble = await send(row, tags);
    if (!trouble) continue;
    later = setTimeout(() => flush().then((sent) => sent && location.reload()), pause); // a phone may think wrongly that it has no network
    pause = Math.min(2 * pause, 300_000);
    return false;
  }
  pause = 15_000;
  return true;
}

// Send one change; answers why it must go on waiting, or nothing.
async function send(row, tags) {
  let answer;
  try {
    answer = await fetch(row.path ?? `/api/v1/work-orders/${row.order}/${row.step}`, {
      method: "POST",
      credentials: "same-origin",
      headers: {
        "Content-Type": row.type ?? "application/json",
        "Idempotency-Key": row.key,
        ...(row.path ? {} : { "If-Match": tags[row.order] ?? `"v${row.version}"` }),
        "X-CSRF-Token": root.dataset.csrf,
      },
      body: row.bytes ?? JSON.stringify(row.body),
    });
  } catch {
    return "network";
  }
  if (answer.status === 401 || answer.status === 403) return "account";
  if (answer.status === 429 || answer.status >= 500) return "busy";
  if (answer.ok && row.path) await change((waiting) => waiting.delete(row.id)); // evidence makes no new version of the order
  else if (answer.ok) {
    tags[row.order] = answer.headers.get("ETag");
    const version = tags[row.order].replace(/\D/g, ""), others = (await rows("waiting")).filter((each) => each.order === row.order && !each.path && each.id !== row.id);
    await change((waiting) => { waiting.delete(row.id); for (const each of others) waiting.put({ ...each, version }); });
  } else {
    const problem = await answer.json().catch(() => ({}));
    if (problem.code === "in_flight") return "busy";
    await refuse(row, problem.title || String(answer.status));
  }
  return "";
}

// Keep what was not accepted; the steps after a step stand on it and go the same way, evidence does not.
async function refuse(row, why) {
  const fallen = row.path ? [row] : (await rows("waiting")).filter((each) => each.order === row.order && !each.path);
  await change((waiting, refused) => { for (const { id, ...each } of fallen) { waiting.delete(id); refused.put({ ...each, why }); } });
}

function button(text, work) {
  const made = Object.assign(document.createElement("button"), { className: "button", textContent: text });
  made.addEventListener("click", async () => { made.disabled = true; await work(); });
  return made;
}

// Say how much waits and why, and what was not accepted; nothing is shown when all is well.
export async function show() {
  const place = document.querySelector(".sync");
  if (!place) return;
  const waiting = await rows("waiting"), refused = await rows("refused"), told = place.dataset;
  const size = waiting.reduce((sum, each) => sum + (each.bytes?.byteLength ?? 0), 0);
  const parts = [];
  if (waiting.length) {
    const line = document.createElement("p");
    line.textContent = [fill(told.waiting, { count: waiting.length }), size && fill(told.size, { size: (size / MB).toFixed(1), most: MOST / MB }), told[trouble]].filter(Boolean).join(" ");
    parts.push(line, button(told.retry, flush));
  }
  for (const each of refused) {
    const line = document.createElement("p"), link = document.createElement("a");
    link.href = `/work-orders/${each.order}`;
    link.textContent = fill(told.refused, { order: `W-${String(each.order).padStart(6, "0")}`, why: each.why });
    line.append(link);
    if (each.path) line.append(" ", button(told.again, async () => { await change((wait, no) => { no.delete(each.id); const { id, why, ...row } = each; wait.put({ ...row, key: crypto.randomUUID() }); }); flush(); }));
    parts.push(line);
  }
  if (refused.length) parts.push(button(told.seen, async () => { await change((_, no) => no.clear()); show(); }));
  place.replaceChildren(...parts);
  told.count = waiting.length;
  place.classList.toggle("shown", parts.length > 0);
  place.classList.toggle("warning", waiting.length > 0);
  place.classList.toggle("critical", refused.length > 0);
}

// Set the button of a job to the step after those that wait.
function advance(form, step) {
  const next = NEXT[step];
  const press = form.querySelector("button.primary");
  if (next === null) {
    press.disabled = true;
    return;
  }
  form.dataset.change = next;
  form.action = form.action.replace(/\/\w+$/, `/${next}`);
  press.lastChild.textContent = form.dataset[next];
}

async function step(form) {
  const press = form.querySelector("button.primary");
  if (press.disabled) return;
  press.disabled = true; // a second tap while the first is on its way is no second step
  const [, order, name] = form.action.match(/work-orders\/(\d+)\/(\w+)$/);
  const fields = new FormData(form);
  const body = name === "complete" ? { outcome: fields.get("outcome") || "fixed", note: fields.get("note") || "" } : {};
  const row = { order: Number(order), step: name, key: crypto.randomUUID(), version: fields.get("version"), body };
  try {
    await change((waiting) => waiting.put(row));
  } catch {
    return form.submit(); // this browser keeps nothing (a private window): then only with network
  }
  const sent = await flush();
  if (sent && !(await rows("refused")).length) return location.assign(name === "complete" ? "/work" : location.pathname);
  press.disabled = false;
  if (!sent) advance(form, name);
}

// Let evidence of a visit wait behind the steps; answers true when it was taken already, throws when no more can wait here.
export async function enqueue(row) {
  const held = (await rows("waiting")).reduce((sum, each) => sum + (each.bytes?.byteLength ?? 0), 0);
  if (held + (row.bytes?.byteLength ?? 0) > MOST) throw new Error("full");
  navigator.storage?.persist?.(); // ask that the browser does not tidy it away
  await change((waiting) => waiting.put({ ...row, step: "visit", key: crypto.randomUUID() }));
  return flush();
}

export async function start() {
  const form = document.querySelector("form[data-change]");
  if (form && crypto.randomUUID) form.addEventListener("submit", (event) => { event.preventDefault(); step(form); });
  const waiting = await rows("waiting");
  if (form) {
    const order = Number(form.action.match(/work-orders\/(\d+)/)[1]);
    for (const each of waiting) if (each.order === order && !each.path) advance(form, each.step);
  }
  addEventListener("online", async () => { if ((await rows("waiting")).length && (await flush())) location.reload(); });
  await show();
  if (waiting.length) flush();
}

// Keep the pages of the day for when the network is gone; browsers allow this on HTTPS and on this machine only.
export async function keepDay() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("/worker.js");
  if (!navigator.serviceWorker.controller) await new Promise((ready) => navigator.serviceWorker.addEventListener("controllerchange", ready, { once: true }));
  const links = [...document.querySelectorAll(".job > a")].map((link) => link.pathname);
  const own = [...document.querySelectorAll("link[href], script[src], use")].map((each) => (each.href?.baseVal ?? each.href ?? each.src).replace(/#.*/, ""));
  const scripts = ["offline", "visit", "photo"].map((name) => root.dataset[name]).filter(Boolean); // what the kept pages will ask for
  for (const path of new Set([location.pathname, ...links, ...own, ...scripts])) fetch(path, { headers: { Accept: "text/html" } }).catch(() => {});
  document.querySelector("form[action='/sign-out']")?.addEventListener("submit", () => caches.delete("drumbeat-pages"));
}
