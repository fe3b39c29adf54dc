// Which page is shown, logging in, and whether the program is still there.

import { begin, connect, disconnect, send, who } from "./api.js";
import { h } from "./dom.js";
import { live } from "./live.js";
import { stream } from "./stream.js";
import { events } from "./events.js";
import { statistics } from "./statistics.js";
import { health } from "./health.js";

const pages = { live, events, statistics, health, stream };
const main = document.getElementById("main");
const dead = document.getElementById("dead");
const out = document.getElementById("logout");
let leave = null;
let wasDead = false;

function alive(good) {
  dead.hidden = good;
  if (good && wasDead) {
    wasDead = false;
    // It may be another run of the program, that knows nothing of our session.
    begin().then((session) => (session.login ? login() : show()), () => {});
  }
  if (!good) wasDead = true;
}

async function show() {
  const [name, argument] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  const page = pages[name] || live;
  if (leave) leave();
  leave = null;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${name || "live"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = h("div");
  main.replaceChildren(place);
  try {
    leave = (await page(place, argument)) || null;
  } catch (error) {
    if (error.status === 401) return login();
    place.replaceChildren(h("p", { className: "wrong", role: "alert" }, error.message));
  }
}

function login() {
  disconnect();
  out.hidden = true;
  const wrong = h("p", { className: "wrong", role: "alert" });
  const user = h("input", { name: "user", autocomplete: "username", required: true, value: "avel" });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const form = h("form", { className: "card login", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await send("POST", "/api/login", { user: user.value, password: password.value });
      start();
    } catch (error) {
      wrong.textContent = error.message;
      password.select();
    }
  } }, h("h2", {}, "Log in"), h("label", {}, "Name", user), h("label", {}, "Password", password), wrong,
  h("button", { className: "main" }, "Log in"));
  main.replaceChildren(form);
  password.focus();
}

async function start() {
  try {
    const session = await begin();
    if (session.login) return login();
    out.hidden = !session.user;
    connect(alive);
    await show();
  } catch (error) {
    main.replaceChildren(h("p", { className: "wrong", role: "alert" }, error.message));
    setTimeout(start, 3000);
  }
}

out.addEventListener("click", async () => {
  await send("POST", "/api/logout");
  login();
});
addEventListener("hashchange", () => {
  if (who() && !who().login) show().then(() => main.focus());
});
if (!location.hash) history.replaceState(null, "", "#/live");
start();
