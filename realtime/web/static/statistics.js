// Totals by class and hour, and a year of days.

import { get } from "./api.js";
import { h } from "./dom.js";

export async function statistics(place) {
  const names = await get("/api/names");
  const range = h("select", {}, ...[["7", "7 days"], ["30", "30 days"], ["365", "a year"]].map(([value, text]) => h("option", { value }, text)));
  const stream = h("select", {}, h("option", { value: "" }, "all streams"), ...names.streams.map((name) => h("option", {}, name)));
  const out = h("div");
  const form = h("form", { className: "filters", onchange: () => load() }, h("label", {}, "Time", range), h("label", {}, "Stream", stream));
  place.append(h("h2", {}, "Statistics"), form, out);

  async function load() {
    const asked = new URLSearchParams();
    if (stream.value) asked.append("stream", stream.value);
    const now = new Date();
    const iso = (at) => `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
    const first = (days) => iso(new Date(now.getFullYear(), now.getMonth(), now.getDate() - days + 1));
    asked.set("since", first(Number(range.value)));
    const found = await get(`/api/statistics?${asked}`);
    asked.set("since", first(371));
    const year = await get(`/api/statistics?${asked}`);
    out.replaceChildren(heat(found), h("h3", {}, "A year of days"), calendar(year, now, iso));
  }
  await load();
}

function shade(element, share) {
  // No deeper than text can be read on.
  if (share > 0) element.style.background = `rgba(var(--heat), calc(0.12 + var(--deep) * ${share}))`;
}

function heat(found) {
  const classes = Object.entries(found.by_hour);
  if (!classes.length) return h("p", { className: "dim" }, "Nothing was remembered in this time.");
  const most = Math.max(...classes.flatMap(([, hours]) => hours));
  const hours = [...Array(24).keys()];
  const table = h("table", { className: "heat" },
    h("caption", { className: "dim" }, `Events that began in each hour of the day, ${found.since} to ${found.until}`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), ...hours.map((hour) => h("th", { scope: "col" }, String(hour))), h("th", { scope: "col" }, "all"))),
    h("tbody", {}, ...classes.map(([name, counts]) => h("tr", {}, h("th", { scope: "row" }, name),
      ...counts.map((count) => { const cell = h("td", {}, count ? String(count) : ""); shade(cell, count / most); return cell; }),
      h("td", {}, String(counts.reduce((a, b) => a + b, 0)))))));
  return h("div", { className: "wide", tabIndex: 0 }, table);
}

function calendar(year, now, iso) {
  const most = Math.max(1, ...Object.values(year.by_day));
  const days = h("div", { className: "days", role: "img" });
  const total = Object.values(year.by_day).reduce((a, b) => a + b, 0);
  days.setAttribute("aria-label", `${total} events on ${Object.keys(year.by_day).length} days`);
  const back = 364 + ((now.getDay() + 6) % 7);
  for (let k = back; k >= 0; k--) {
    const at = iso(new Date(now.getFullYear(), now.getMonth(), now.getDate() - k));
    const count = year.by_day[at] || 0;
    const cell = h("span", { title: `${at}: ${count} events` });
    shade(cell, Math.sqrt(count / most));
    days.append(cell);
  }
  return h("div", { className: "wide", tabIndex: 0 }, days);
}
