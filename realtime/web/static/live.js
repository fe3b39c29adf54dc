// All streams as tiles: the picture, what is happening, the level, the state.

import { get, onLive, send, who } from "./api.js";
import { h, percent, stateClass, troubles } from "./dom.js";
import { Picture } from "./picture.js";

class Tile {
  constructor(now) {
    this.picture = new Picture(now.name, 1000);
    this.now = h("p", { className: "now" });
    this.state = h("span");
    this.detail = h("p", { className: "dim" });
    this.level = h("meter", { min: -60, max: 0, low: -50, high: -3, optimum: -20 });
    this.level.setAttribute("aria-label", `Sound level of ${now.name}`);
    this.element = h("a", { className: "card", href: `#/stream/${encodeURIComponent(now.name)}` },
      this.picture.element, h("div", { className: "row" }, h("h3", {}, now.name), this.state), this.now, this.level, this.detail);
    this.element.dataset.stream = now.name;
    this.show(now);
  }

  show(now) {
    const background = now.labels.at(-1);
    const open = now.events.map((event) => event.label);
    const quiet = !open.length && (!now.label || now.label === background);
    const idle = now.state === "running" ? "nothing in particular" : "no answers";
    this.now.textContent = open.length ? open.join(", ") : quiet ? idle : now.label;
    this.now.className = quiet ? "now quiet" : "now";
    this.state.textContent = now.state;
    this.state.className = `state ${stateClass(now.state)}`;
    this.level.value = Math.max(-60, now.level_dbfs);
    this.detail.textContent = troubles(now).join("; ")
      || (now.label ? `${now.label}, ${percent(now.confidence)}` : now.source);
    this.picture.show(now.attention, quiet);
  }
}

export async function live(place) {
  const tiles = new Map();
  const grid = h("div", { className: "tiles" });
  const said = h("p", { className: "dim", role: "status" });
  const none = h("p", { hidden: true }, who().changing ? "There is no stream yet: add the first one." : "There is no stream.");
  place.append(h("h2", {}, "Live"), none, grid, said);
  const adding = who().changing ? changes(said) : null;
  if (adding) place.append(adding);
  let busy = false;
  const load = async () => {
    if (busy) return;
    busy = true;
    try {
      const streams = await get("/api/streams");
      for (const now of streams) {
        if (tiles.has(now.name)) tiles.get(now.name).show(now);
        else {
          const tile = new Tile(now);
          tiles.set(now.name, tile);
          grid.append(tile.element);
        }
      }
      none.hidden = streams.length > 0;
      for (const [name, tile] of tiles) {
        if (streams.some((now) => now.name === name)) continue;
        tile.picture.close();
        tile.element.remove();
        tiles.delete(name);
      }
    } finally {
      busy = false;
    }
  };
  await load();
  if (adding && !tiles.size) adding.open = true;
  let due = null;
  const off = onLive((record) => {
    if (!["hop", "event", "status", "stream", "start", "end"].includes(record.type)) return;
    due ??= setTimeout(() => { due = null; load().catch(() => {}); }, 150);
  });
  return () => {
    off();
    clearTimeout(due);
    for (const tile of tiles.values()) tile.picture.close();
  };
}

function changes(said) {
  const name = h("input", { name: "name", required: true });
  const url = h("input", { name: "url", required: true, placeholder: "rtsp://…" });
  const add = h("form", { className: "filters", onsubmit: async (event) => {
    event.preventDefault();
    try {
      said.textContent = (await send("POST", "/api/streams", { name: name.value, url: url.value })).said;
      name.value = url.value = "";
      name.focus();
    } catch (error) {
      said.textContent = error.message;
    }
  } }, h("label", {}, "Name", name), h("label", {}, "Address", url), h("button", {}, "Add stream"));
  return h("details", {}, h("summary", {}, "Add a stream"), add);
}
