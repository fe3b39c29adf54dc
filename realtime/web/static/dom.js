// Elements from a name, attributes and children; text is always text.

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list" && key !== "form") element[key] = value;
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const percent = (p) => `${Math.round(100 * p)} %`;

export function when(iso) {
  // The time as it was where it happened, whatever zone this browser is in.
  return iso.slice(11, 19);
}

export function day(iso) {
  const at = new Date(`${iso.slice(0, 10)}T12:00:00`);
  return at.toLocaleDateString(undefined, { weekday: "long", year: "numeric", month: "long", day: "numeric" });
}

// Why a stream, or a device of it, is away; what a device says again is left out.
export function troubles(now) {
  const away = Object.entries(now.away).map(([device, why]) => `${device} ${why}`);
  return [now.reason, ...away.filter((line) => !now.reason || !line.includes(now.reason))].filter(Boolean);
}

export const stateClass = (state) =>
  ["running", "waiting", "opening", "failed", "ended", "warning", "error", "info"].includes(state) ? state : "info";
