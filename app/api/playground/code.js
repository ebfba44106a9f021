// The panel with the call as curl and in six languages: tabs, copy, and the body as a file.

import { byId, make } from "./dom.js";
import { curl, sdks } from "./snippets.js";
import { say } from "./text.js";

const KEYS = {
  ArrowRight: (at, count) => (at + 1) % count,
  ArrowLeft: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

export class CodePanel {
  constructor(announce) {
    Object.assign(this, { announce, call: null, selected: 0 });
    byId("copy").addEventListener("click", () => this.copy());
    byId("save").addEventListener("click", () => this.save());
    byId("tabs").addEventListener("keydown", (event) => this.moved(event));
  }

  show(call) {
    this.call = call.request ? call : null;
    this.draw();
  }

  hide() {
    this.call = null;
    this.draw();
  }

  draw() {
    byId("calls").hidden = !this.call;
    if (!this.call) return;
    const command = curl(this.call.endpoint, this.call.request);
    const texts = { curl: command.text, ...sdks(this.call) };
    const names = Object.keys(texts);
    byId("tabs").replaceChildren(...names.map((name, index) => make("button", {
      type: "button",
      role: "tab",
      id: `tab-${index}`,
      "aria-selected": String(index === this.selected),
      "aria-controls": "panel",
      tabindex: index === this.selected ? 0 : -1,
      onclick: () => this.select(index),
    }, name)));
    const isCurl = this.selected === 0;
    byId("panel").setAttribute("aria-labelledby", `tab-${this.selected}`);
    byId("code").textContent = texts[names[this.selected]];
    byId("save").hidden = !(isCurl && command.needsFile);
    byId("calls-hint").textContent = say(isCurl ? (command.needsFile ? "curlFileHint" : "curlHint") : "sdkHint");
  }

  select(index) {
    this.selected = index;
    this.draw();
    byId(`tab-${index}`).focus();
  }

  moved(event) {
    if (!(event.key in KEYS)) return;
    event.preventDefault(); // Home and End would scroll the page
    this.select(KEYS[event.key](this.selected, byId("tabs").children.length));
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(byId("code").textContent);
      this.announce(say("copied"));
      byId("copy").textContent = say("copied");
    } catch { // plain http from another host has no clipboard
      getSelection().selectAllChildren(byId("code"));
      this.announce(say("copyFailed"));
      byId("copy").textContent = say("copyFailed");
    }
    setTimeout(() => { byId("copy").textContent = say("copy"); }, 2500);
  }

  save() {
    const url = URL.createObjectURL(new Blob([this.call.request.body], { type: "application/json" }));
    make("a", { href: url, download: "request.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}
