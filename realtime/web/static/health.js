// Streams and devices: who is well, who is away, and what was said lately.

import { get, onLive } from "./api.js";
import { h, stateClass } from "./dom.js";

export async function health(place) {
  const out = h("div");
  place.append(h("h2", {}, "Health"), out);
  async function load() {
    const found = await get("/api/health");
    const rows = (states) => states.map((one) => h("tr", {}, h("td", {}, one.at.slice(0, 19).replace("T", " ")), h("td", {}, one.stream),
      h("td", {}, one.device), h("td", {}, h("span", { className: `state ${stateClass(one.severity)}` }, one.state)), h("td", {}, one.reason)));
    const table = (caption, states) => h("div", { className: "wide card", tabIndex: 0 }, h("table", {}, h("caption", { className: "dim" }, caption),
      h("thead", {}, h("tr", {}, ...["When", "Stream", "Device", "State", "Why"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows(states))));
    out.replaceChildren(
      h("p", { className: `now state ${found.healthy ? "running" : "failed"}` }, found.healthy ? "All is well" : "Not all is well"),
      h("ul", {}, ...Object.entries(found.streams).map(([name, state]) => h("li", {}, `${name}: `, h("span", { className: `state ${stateClass(state)}` }, state),
        ...Object.entries(found.troubles[name] || {}).map(([device, why]) => `; ${device} ${why}`)))),
      ...(found.remembering ? [table("What every device said last", found.states), table("Changes, newest first", found.history)]
        : [h("p", { className: "dim" }, "Nothing is remembered; start with --memory.")]));
  }
  await load();
  const off = onLive((record) => { if (["status", "stream"].includes(record.type)) setTimeout(() => load().catch(() => {}), 1200); });
  return off;
}
