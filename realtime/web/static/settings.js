// What may be changed of a stream while it runs: one field each, empty where nothing is said for it alone.

import { get, send } from "./api.js";
import { h } from "./dom.js";

const NAMES = {
  url: "Address", camera: "Address of the camera", settle: "Seconds until an answer is final", enter: "An event begins at", leave: "It ends below",
  min_event_s: "Shortest event (s)", brief: "Brief events need", hold_s: "Gaps that are bridged (s)",
  cooldown_s: "Quiet after an event (s)", size: "Size of the picture", fps: "Pictures a second", rtsp_transport: "Carried by",
};
const FIELDS = { address, choice, text, number, integer: number };

export function settings(name, labels) {
  const said = h("p", { className: "dim", role: "status" });
  const form = h("form", { className: "settings" });
  const path = `/api/streams/${encodeURIComponent(name)}`;
  const details = h("details", { ontoggle: () => { if (details.open) load().catch(wrong); } },
    h("summary", {}, "Settings"), form, said);
  const wrong = (error) => { said.textContent = error.message; };
  let read = () => ({});

  async function load() {
    const found = await get(`${path}/settings`);
    const fields = found.flatMap((one) => FIELDS[one.kind] ? FIELDS[one.kind](one) : []);
    const watched = classes(found, labels());
    read = () => Object.assign({}, ...fields.map((field) => field.read()), watched.read());
    form.replaceChildren(...fields.map((field) => field.element), ...watched.elements, h("button", { className: "main" }, "Save"));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const done = await send("PATCH", path, read());
      await load(); // before anything is said: who reads it may type on
      said.textContent = done.said;
    } catch (error) {
      wrong(error);
    }
  });
  return details;
}

const unsaid = (one) => one.common === null ? "automatic" : `${one.common}, as for all`;

// A field with what it is for, which sends only what is different: what is left alone goes on to hold for all.
function field(one, input, now) {
  const help = h("span", { className: "dim", id: `help-${one.key}` }, one.help);
  input.setAttribute("aria-describedby", help.id);
  const element = h("div", {}, h("label", {}, NAMES[one.key] || one.key, input), help);
  return { element, read: () => now() === one.value ? {} : { [one.key]: now() } };
}

function number(one) {
  const input = h("input", { name: one.key, type: "number", step: one.kind === "integer" ? 1 : "any", value: one.value ?? "",
    placeholder: unsaid(one) });
  if (one.minimum !== null) input.min = one.minimum;
  if (one.maximum !== null) input.max = one.maximum;
  return field(one, input, () => input.value === "" ? null : Number(input.value));
}

function text(one) {
  const input = h("input", { name: one.key, type: "text", value: one.value ?? "", spellcheck: false, autocomplete: "off",
    placeholder: unsaid(one) });
  return field(one, input, () => input.value.trim() || null);
}

function choice(one) {
  const input = h("select", { name: one.key }, h("option", { value: "" }, unsaid(one)),
    ...one.choices.map((each) => h("option", { value: each, selected: each === one.value }, each)));
  return field(one, input, () => input.value || null);
}

// Where the stream comes from. The program never says its password again: another address is typed whole.
function address(one) {
  const shown = { ...one, help: (one.value || "").includes("***")
    ? "*** is a password that is not shown; another address is typed whole" : one.help };
  const input = h("input", { name: one.key, type: "text", value: one.value ?? "", required: one.common === null,
    spellcheck: false, autocomplete: "off", placeholder: one.common === null ? "rtsp://…" : `${one.common}, as for all` });
  const made = field(shown, input, () => input.value.trim() || null);
  made.element.className = "wide";
  return made;
}

// All classes with a mark at those that are reported: `classes` (only these) and `ignore` (never these) in one.
function classes(found, labels) {
  const effective = (key) => { const one = found.find((each) => each.key === key); return one.value ?? one.common; };
  const names = labels.slice(0, -1);
  if (!names.length) return { elements: [], read: () => ({}) };
  // Names are compared as the program does.
  const plain = (text) => text.replaceAll("_", " ").toLowerCase().split(/\s+/).join(" ").trim();
  const only = effective("classes").map(plain);
  const never = effective("ignore").map(plain);
  const boxes = names.map((name) => h("input", { type: "checkbox", name: "class", value: name,
    checked: (!only.length || only.includes(plain(name))) && !never.includes(plain(name)) }));
  const before = boxes.map((box) => box.checked).join();
  const element = h("fieldset", {}, h("legend", {}, "Reported classes"), h("div", { className: "classes" },
    ...boxes.map((box) => h("label", { className: "check" }, box, box.value))));
  return { elements: [element], read: () => {
    if (boxes.map((box) => box.checked).join() === before) return {};
    const off = boxes.filter((box) => !box.checked).map((box) => box.value);
    return { classes: [], ignore: off };
  } };
}
