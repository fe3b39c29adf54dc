// The API, and the records as they come. Nothing else is ever asked for.

let csrf = null;
let session = null;

export async function begin() {
  session = await get("/api/session");
  csrf = session.csrf;
  return session;
}

export const who = () => session;

export async function get(path) {
  return answer(await fetch(path, { headers: { accept: "application/json" } }));
}

export async function send(method, path, body) {
  const headers = { "content-type": "application/json" };
  if (csrf) headers["x-csrf-token"] = csrf;
  return answer(await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }));
}

async function answer(response) {
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  const detail = body && typeof body.detail === "string" ? body.detail : `${response.status} ${response.statusText}`;
  throw Object.assign(new Error(detail), { status: response.status });
}

// One connection for the whole page while it can be seen. Silence for SILENT_MS means it is dead.
const SILENT_MS = 10000;
const listeners = new Set();
let source = null;
let heard = 0;
let told = null;
let watch = null;

export function onLive(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// Called when records begin to come, again too: what happened before is to be asked for.
const begun = new Set();

export function onConnected(listener) {
  begun.add(listener);
  return () => begun.delete(listener);
}

export function connect(tell) {
  told = tell;
  if (!watch) {
    watch = setInterval(look, 1000);
    document.addEventListener("visibilitychange", look);
  }
  look();
}

export function disconnect() {
  clearInterval(watch);
  watch = null;
  document.removeEventListener("visibilitychange", look);
  drop();
}

function drop() {
  if (source) source.close();
  source = null;
}

function look() {
  if (document.hidden) return drop();  // nobody looks: nothing is sent
  if (source && (source.readyState === EventSource.CLOSED || Date.now() - heard > SILENT_MS)) {
    told(false);
    drop();
  }
  if (source) return;
  heard = Date.now();
  source = new EventSource("/api/live");
  const alive = () => {
    heard = Date.now();
    told(true);
  };
  source.addEventListener("beat", alive);
  source.onopen = () => begun.forEach((listener) => listener());
  source.onmessage = (message) => {
    alive();
    const record = JSON.parse(message.data);
    for (const listener of listeners) listener(record);
  };
  source.onerror = () => told(false);
}
