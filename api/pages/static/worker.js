// Keeps the technician's pages for when there is no network: pages from the network first, static files from the store.

const PAGES = "drumbeat-pages";
const STATIC = "drumbeat-static";
const KEPT = /^\/(work|work-orders\/\d+)$/;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== location.origin) return;
  if (address.pathname.startsWith("/static/")) event.respondWith(fromStore(request));
  else if (KEPT.test(address.pathname) && (request.headers.get("Accept") || "").includes("text/html")) event.respondWith(fromNetwork(request, address.pathname));
});

async function fromStore(request) {
  const store = await caches.open(STATIC);
  const found = await store.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await store.put(request, answer.clone());
  return answer;
}

async function fromNetwork(request, path) {
  const store = await caches.open(PAGES);
  try {
    const answer = await fetch(request);
    if (answer.ok && !answer.redirected) await store.put(path, answer.clone());
    return answer;
  } catch (failure) {
    const found = await store.match(path);
    if (found) return found;
    throw failure;
  }
}
