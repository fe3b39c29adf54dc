// A stream's picture with the glow where the sound is. Fetched only while it can be seen.

import { h } from "./dom.js";

export class Picture {
  constructor(name, everyMs) {
    this.name = name;
    this.image = h("img", { alt: `Picture of ${name}` });
    this.glow = h("canvas", { width: 7, height: 7 });
    this.glow.setAttribute("aria-hidden", "true");
    this.element = h("div", { className: "picture" }, this.image, this.glow);
    this.seen = false;
    this.observer = new IntersectionObserver((entries) => { this.seen = entries.at(-1).isIntersecting; });
    this.observer.observe(this.element);
    this.timer = setInterval(() => this.fetch(), everyMs);
    this.busy = false;
    this.image.hidden = true;
    this.image.onload = () => { this.busy = false; this.image.hidden = false; };
    this.image.onerror = () => { this.busy = false; this.image.hidden = true; };
  }

  fetch() {
    if (document.hidden || !this.seen || this.busy) return;
    this.busy = true;
    this.image.src = `/api/streams/${encodeURIComponent(this.name)}/snapshot.jpg?${Date.now()}`;
  }

  show(attention, quiet) {
    const context = this.glow.getContext("2d");
    context.clearRect(0, 0, 7, 7);
    if (!attention || quiet) return;
    const most = Math.max(...attention.flat());
    attention.forEach((row, y) => row.forEach((value, x) => {
      const strength = Math.max(0, (value - 1 / 49) / Math.max(most - 1 / 49, 2 / 49));
      context.fillStyle = `rgba(255, 150, 30, ${0.7 * strength})`;
      context.fillRect(x, y, 1, 1);
    }));
  }

  close() {
    clearInterval(this.timer);
    this.observer.disconnect();
  }
}
