// What was remembered: by day, searchable, with clips, and with what people say of it.

import { get, onConnected, onLive, send } from "./api.js";
import { day, h, percent, when } from "./dom.js";

export async function events(place) {
  const [names, streams] = await Promise.all([get("/api/names"), get("/api/streams")]);
  // What an event really was may be a class that was never said so far.
  const classes = [...new Set([...names.labels, ...streams.flatMap((now) => now.labels.slice(0, -1))])].sort();
  const every = (values, all) => [h("option", { value: "" }, all), ...values.map((name) => h("option", {}, name))];
  const label = h("select", { name: "label" }, every(names.labels, "every class"));
  const stream = h("select", { name: "stream" }, every(names.streams, "every stream"));
  const since = h("input", { name: "since", type: "date" });
  const until = h("input", { name: "until", type: "date" });
  const sure = h("input", { name: "min_confidence", type: "number", min: 0, max: 100, step: 5, value: 0 });
  const clips = h("select", { name: "clips" }, h("option", { value: "" }, "all"), h("option", { value: "true" }, "with a clip"));
  const found = h("p", { className: "dim", role: "status" });
  const list = h("div", { className: "list" });
  const more = h("button", { type: "button", hidden: true, onclick: () => load(true) }, "Older events");
  const form = h("form", { className: "filters", onsubmit: (event) => { event.preventDefault(); load(false); }, onchange: () => load(false) },
    h("label", {}, "Class", label), h("label", {}, "Stream", stream), h("label", {}, "From", since),
    h("label", {}, "To", until), h("label", {}, "At least sure (%)", sure), h("label", {}, "Clips", clips));
  place.append(h("h2", {}, "Events"), form, found, list, more);
  let next = null;
  let shownDay = null;
  let turns = 0;

  function query(extra) {
    const asked = new URLSearchParams();
    for (const field of [label, stream, since, until, clips]) if (field.value) asked.append(field.name, field.value);
    if (Number(sure.value) > 0) asked.append("min_confidence", Number(sure.value) / 100);
    for (const [key, value] of Object.entries(extra)) asked.append(key, value);
    return `/api/events?${asked}`;
  }

  async function load(further) {
    const turn = ++turns;
    list.setAttribute("aria-busy", "true");
    const page = await get(query(further ? { before: next } : {}));
    if (turn !== turns) return;  // asked for something else meanwhile
    list.setAttribute("aria-busy", "false");
    if (!further) { list.replaceChildren(); shownDay = null; }
    for (const event of page.events) {
      const today = event.start.slice(0, 10);
      if (today !== shownDay) list.append(h("h3", {}, day(event.start)));
      shownDay = today;
      list.append(card(event, classes));
    }
    next = page.next;
    more.hidden = !next;
    const shown = list.querySelectorAll(".event").length;
    found.textContent = shown ? `${shown} events${next ? ", and older ones" : ""}` : "No event matches.";
  }

  let due = [];
  const soon = () => {
    due.forEach(clearTimeout);
    // Twice: what is remembered is on the disk within a second, most of it at once.
    due = [300, 1500].map((ms) => setTimeout(() => {
      // Not under the hands of somebody who plays a clip or marks an event.
      if (!list.querySelector("video") && !list.contains(document.activeElement)) load(false).catch(() => {});
    }, ms));
  };
  const off = [onConnected(soon), onLive((record) => { if (record.type === "event") soon(); })];
  await load(false);
  return () => { off.forEach((stop) => stop()); due.forEach(clearTimeout); };
}

function card(event, labels) {
  const lasted = event.duration_s === null ? "going on" : `${event.duration_s.toFixed(1)} s`;
  const marked = h("span", { className: "dim" });
  const thumb = h("button", { className: "thumb", type: "button", disabled: !event.clip },
    event.thumbnail ? h("img", { src: `/api/events/${event.id}/thumbnail.jpg`, alt: "", loading: "lazy" }) : "");
  thumb.setAttribute("aria-label", event.clip ? `Play the clip of ${event.label}` : "No clip");
  const element = h("article", { className: "card event" }, thumb,
    h("div", {}, h("p", { className: "now" }, event.label + (event.retracted ? " (taken back)" : "")),
      h("p", { className: "dim" }, `${when(event.start)} · ${lasted} · ${event.stream} · ${percent(event.confidence)}`), marked));
  element.dataset.event = event.id;
  thumb.addEventListener("click", () => {
    const present = element.querySelector("video");
    if (present) return present.remove();
    const video = h("video", { controls: true, autoplay: true, src: `/api/events/${event.id}/clip.mp4` },
      h("track", { kind: "captions", label: "Events", src: `/api/events/${event.id}/labels.vtt`, default: true }));
    video.setAttribute("aria-label", `Clip of ${event.label}`);
    element.append(video);
    video.focus();
  });
  const is = h("select", {}, h("option", { value: "" }, "This is …"), ...labels.map((name) => h("option", {}, name)));
  is.setAttribute("aria-label", `What ${event.label} really is`);
  const mark = async (body) => {
    const path = `/api/events/${event.id}/mark`;
    show(await (body ? send("PUT", path, body) : send("DELETE", path)));
  };
  const button = (verdict, text) => {
    const one = h("button", { type: "button", onclick: () => mark(one.getAttribute("aria-pressed") === "true" ? null : { verdict }) }, text);
    return one;
  };
  const right = button("right", "Right");
  const wrong = button("wrong", "Wrong");
  is.addEventListener("change", () => mark(is.value ? { verdict: "other", label: is.value } : null));
  element.append(h("div", { className: "marks" }, right, wrong, is));
  function show(view) {
    right.setAttribute("aria-pressed", view.mark === "right");
    wrong.setAttribute("aria-pressed", view.mark === "wrong");
    is.value = view.mark === "other" ? view.is_label : "";
    marked.textContent = { right: "marked right", wrong: "marked wrong", other: `marked as ${view.is_label}` }[view.mark] || "";
  }
  show(event);
  return element;
}
