// A technician's steps without network: kept in this browser, sent in order with a key each, never twice, never silently lost.

const root = document.body;
const QUEUE = `drumbeat.queue.${root.dataset.user}`;
const REFUSED = `drumbeat.refused.${root.dataset.user}`;
const NEXT = { start: "arrive", arrive: "complete", complete: null };

const load = (name) => JSON.parse(localStorage.getItem(name) || "[]");
const store = (name, rows) => localStorage.setItem(name, JSON.stringify(rows));
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

let sending = null;

// Send what waits, oldest first; several tabs take turns by a lock. Answers true when nothing waits any more.
export function flush() {
  sending ??= (navigator.locks ? navigator.locks.request(QUEUE, sendAll) : sendAll()).finally(() => { sending = null; show(); });
  return sending;
}

async function sendAll() {
  const tags = {}; // a step of an order stands on the version that the step before it made
  for (let change = load(QUEUE)[0]; change; change = load(QUEUE)[0]) {
    let answer;
    try {
      answer = await fetch(change.path ?? `/api/v1/work-orders/${change.order}/${change.step}`, {
        method: "POST",
        credentials: "same-origin",
        headers: {
          "Content-Type": change.type ?? "application/json",
          "Idempotency-Key": change.key,
          ...(change.path ? {} : { "If-Match": tags[change.order] ?? `"v${change.version}"` }),
          "X-CSRF-Token": root.dataset.csrf,
        },
        body: change.bytes ? Uint8Array.from(atob(change.bytes), (each) => each.charCodeAt(0)) : JSON.stringify(change.body),
      });
    } catch {
      return false; // no network: everything stays
    }
    if (answer.status === 401 || answer.status === 403 || answer.status === 429 || answer.status >= 500) return false;
    const rest = load(QUEUE).slice(1);
    if (answer.ok && change.path) {
      store(QUEUE, rest); // evidence makes no new version of the order
    } else if (answer.ok) {
      tags[change.order] = answer.headers.get("ETag");
      store(QUEUE, rest.map((each) => (each.order === change.order ? { ...each, version: tags[change.order].replace(/\D/g, "") } : each)));
    } else {
      const problem = await answer.json().catch(() => ({}));
      store(REFUSED, [...load(REFUSED), { order: change.order, step: change.step, why: problem.title || String(answer.status) }]);
      store(QUEUE, rest.filter((each) => each.order !== change.order)); // the steps after it stand on it
    }
  }
  return true;
}

// Say how many steps wait and what was not accepted; nothing is shown when all is well.
export function show() {
  const place = document.querySelector(".sync");
  if (!place) return;
  const waiting = load(QUEUE), refused = load(REFUSED);
  place.replaceChildren();
  if (waiting.length) place.append(fill(place.dataset.waiting, { count: waiting.length }));
  for (const each of refused) {
    const link = document.createElement("a");
    link.href = `/work-orders/${each.order}`;
    link.textContent = fill(place.dataset.refused, { order: `W-${String(each.order).padStart(6, "0")}`, why: each.why });
    const line = document.createElement("p");
    line.append(link);
    place.append(line);
  }
  if (refused.length) {
    const button = document.createElement("button");
    button.className = "button";
    button.textContent = place.dataset.seen;
    button.addEventListener("click", () => { store(REFUSED, []); show(); });
    place.append(button);
  }
  place.classList.toggle("shown", waiting.length + refused.length > 0);
  place.classList.toggle("warning", waiting.length > 0);
  place.classList.toggle("critical", refused.length > 0);
}

// Set the button of a job to the step after those that wait.
function advance(form, step) {
  const next = NEXT[step];
  const button = form.querySelector("button.primary");
  if (next === null) {
    button.disabled = true;
    return;
  }
  form.dataset.change = next;
  form.action = form.action.replace(/\/\w+$/, `/${next}`);
  button.lastChild.textContent = form.dataset[next];
}

async function step(form) {
  const button = form.querySelector("button.primary");
  if (button.disabled) return;
  button.disabled = true; // a second tap while the first is on its way is no second step
  const [, order, name] = form.action.match(/work-orders\/(\d+)\/(\w+)$/);
  const fields = new FormData(form);
  const body = name === "complete" ? { outcome: fields.get("outcome") || "fixed", note: fields.get("note") || "" } : {};
  const change = { order: Number(order), step: name, key: crypto.randomUUID(), version: fields.get("version"), body };
  store(QUEUE, [...load(QUEUE), change]);
  const waiting = await flush();
  if (waiting && !load(REFUSED).length) return location.assign(name === "complete" ? "/work" : location.pathname);
  button.disabled = false;
  if (waiting) show();
  else advance(form, name);
}

// Let evidence of a visit wait behind the steps; answers true when it has been taken already.
export async function enqueue(change) {
  store(QUEUE, [...load(QUEUE), { ...change, step: change.step ?? "visit", key: crypto.randomUUID() }]);
  return flush();
}

export function start() {
  const form = document.querySelector("form[data-change]");
  if (form && crypto.randomUUID) {
    form.addEventListener("submit", (event) => { event.preventDefault(); step(form); });
    const order = Number(form.action.match(/work-orders\/(\d+)/)[1]);
    for (const change of load(QUEUE)) if (change.order === order && !change.path) advance(form, change.step);
  }
  addEventListener("online", async () => { if (load(QUEUE).length && (await flush())) location.reload(); });
  show();
  if (load(QUEUE).length) flush();
}

// Keep the pages of the day for when the network is gone; browsers allow this on HTTPS and on this machine only.
export async function keepDay() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("/worker.js");
  if (!navigator.serviceWorker.controller) await new Promise((ready) => navigator.serviceWorker.addEventListener("controllerchange", ready, { once: true }));
  const links = [...document.querySelectorAll(".job > a")].map((link) => link.pathname);
  const scripts = [document.body.dataset.visit].filter(Boolean); // what the kept pages will ask for
  for (const path of new Set([location.pathname, ...links, ...scripts])) fetch(path, { headers: { Accept: "text/html" } }).catch(() => {});
  document.querySelector("form[action='/sign-out']")?.addEventListener("submit", () => caches.delete("drumbeat-pages"));
}
