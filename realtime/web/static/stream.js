// One stream in full: the picture, ten seconds, provisional and settled, and the five likeliest classes.

import { get, onLive, send, who } from "./api.js";
import { h, percent, stateClass, troubles } from "./dom.js";
import { Picture } from "./picture.js";
import { settings } from "./settings.js";

export async function stream(place, name) {
  place.className = "one";
  const picture = new Picture(name, 500);
  const state = h("span");
  const now = h("p", { className: "now" });
  const detail = h("p", { className: "dim" });
  const seconds = h("ol", { className: "seconds" });
  seconds.setAttribute("aria-label", "The last ten seconds, newest last");
  const top = h("ol", { className: "top" });
  const past = new Map();
  const changing = h("div");
  place.append(
    h("div", { className: "row" }, h("h2", {}, name), state), picture.element, now, detail,
    seconds, h("h3", {}, "Likeliest now"), top, changing);
  let labels = [];
  let followed = null;
  // Once it is known whose stream it is.
  function offer(view) {
    if (!who().changing || followed === view.followed) return;
    followed = view.followed;
    changing.replaceChildren(...(followed ? [elsewhere()] : [settings(name, () => labels), ending()]));
  }
  const elsewhere = () => h("p", { className: "dim" }, "A stream of another box: it is changed and ended there.");
  const ending = () => h("p", {}, h("button", { type: "button", onclick: async (event) => {
    if (event.target.dataset.sure !== "yes") {
      event.target.dataset.sure = "yes";
      event.target.textContent = `Really end ${name}?`;
      return;
    }
    await send("DELETE", `/api/streams/${encodeURIComponent(name)}`);
    location.hash = "#/live";
  } }, "End this stream"));
  let background = null;

  function show(view) {
    labels = view.labels;
    offer(view);
    background = labels.at(-1);
    state.textContent = view.state;
    state.className = `state ${stateClass(view.state)}`;
    const open = view.events.map((event) => `${event.label} (${percent(event.confidence)})`);
    now.textContent = open.join(", ") || (view.state === "running" ? "nothing in particular" : "no answers");
    now.className = open.length ? "now" : "now quiet";
    detail.textContent = [...troubles(view), view.source].filter(Boolean).join("; ");
    picture.show(view.attention, !open.length && view.label === background);
    past.clear();  // a stream that began anew counts from 0 again
    for (const second of view.seconds) past.set(second.index, second);
    if (view.hop) hop(view.hop);
  }

  function hop(record) {
    if (!past.get(record.segment.index)?.settled) past.set(record.segment.index, { label: record.label, confidence: record.confidence, settled: false });
    top.replaceChildren(...record.top.map(([label, p]) => {
      const bar = h("meter", { min: 0, max: 1, value: p });
      bar.setAttribute("aria-label", label);
      return h("li", {}, h("span", {}, label), bar, h("span", { className: "dim" }, percent(p)));
    }));
    draw();
  }

  function draw() {
    const newest = [...past.keys()].sort((a, b) => a - b).slice(-10);
    for (const index of past.keys()) if (index < newest[0]) past.delete(index);
    seconds.replaceChildren(...newest.map((index) => {
      const second = past.get(index);
      const kind = second.settled ? "settled" : "provisional";
      const label = second.label === background ? "–" : second.label;
      return h("li", { className: kind, title: `${second.label}, ${percent(second.confidence)}, ${kind}` }, label);
    }));
  }

  const load = async () => {
    const view = (await get("/api/streams")).find((one) => one.name === name);
    if (!view) throw new Error(`no stream is called ${name}`);
    show(view);
  };
  await load();
  const off = onLive((record) => {
    if (record.stream !== name) return;
    if (record.type === "segment") {
      past.set(record.index, { label: record.label, confidence: record.confidence, settled: true });
      draw();
    } else load().catch(() => {});
  });
  return () => { off(); picture.close(); };
}
