// Drumbeat's only script. Pages work without it; it keeps live pages fresh and buttons from being pressed twice.

const REFRESH_MS = 60_000;

function refreshLivePage() {
  const live = document.body.dataset.live;
  if (!live) return;
  setInterval(async () => {
    if (document.hidden || document.activeElement?.matches("input, textarea, select")) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      const open = [...document.querySelectorAll("main details[open]")].map((each) => each.id).filter(Boolean);
      if (!fresh) return;
      document.querySelector("main").replaceWith(fresh);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    } catch {
      // No network: the page stays as it is and the next turn tries again.
    }
  }, REFRESH_MS);
}

function pressOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.change) return; // steps of a job have a key of their own
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
}

// What scrolls sideways can be reached and moved by keyboard.
function focusScrollers() {
  for (const each of document.querySelectorAll(".scroll")) {
    if (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight) each.tabIndex = 0;
  }
}

refreshLivePage();
pressOnce();
focusScrollers();
for (const each of document.querySelectorAll("[data-module]")) import(each.dataset.module).then((module) => module.start(each));
if (document.querySelector(".sync")) {
  import(document.body.dataset.offline).then((offline) => {
    offline.start();
    if (document.querySelector("#visit")) import(document.querySelector("#visit").dataset.script).then((visit) => visit.start(offline));
    const scan = document.querySelector("#scan");
    if (scan && "BarcodeDetector" in window) {
      scan.hidden = false;
      scan.addEventListener("click", () => import(scan.dataset.script).then((module) => module.scan(scan)));
    }
    if (location.pathname === "/work") offline.keepDay().catch(() => {}); // without HTTPS there is no store: pages still work
  });
}
