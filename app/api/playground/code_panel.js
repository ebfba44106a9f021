// The panel with the request as curl command and SDK programs: tabs, copy button, download of the body.

import { byId, element } from "./dom.js";
import { curl, sdkPrograms } from "./snippets.js";
import { translate } from "./i18n.js";

const TAB_KEYS = {
  ArrowRight: (index, count) => (index + 1) % count,
  ArrowLeft: (index, count) => (index + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

export class CodePanel {
  // announce(text) passes a text to screen readers.
  constructor(announce) {
    Object.assign(this, { announce, call: null, selected: 0 });
    byId("copy").addEventListener("click", () => this.copy());
    byId("save").addEventListener("click", () => this.save());
    byId("tabs").addEventListener("keydown", (event) => this.handleKey(event));
  }

  show(call) {
    this.call = call.request ? call : null;
    this.render();
  }

  hide() {
    this.call = null;
    this.render();
  }

  render() {
    byId("calls").hidden = !this.call;
    if (!this.call) return;
    const command = curl(this.call.endpoint, this.call.request);
    const texts = { curl: command.text, ...sdkPrograms(this.call) };
    const names = Object.keys(texts);
    byId("tabs").replaceChildren(...names.map((name, index) => element("button", {
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
    byId("calls-hint").textContent = translate(isCurl ? (command.needsFile ? "curlFileHint" : "curlHint") : "sdkHint");
  }

  select(index) {
    this.selected = index;
    this.render();
    byId(`tab-${index}`).focus();
  }

  handleKey(event) {
    if (!(event.key in TAB_KEYS)) return;
    event.preventDefault(); // Home and End would scroll the page
    this.select(TAB_KEYS[event.key](this.selected, byId("tabs").children.length));
  }

  async copy() {
    let key = "copied";
    try {
      await navigator.clipboard.writeText(byId("code").textContent);
    } catch { // pages of plain HTTP have no clipboard
      getSelection().selectAllChildren(byId("code"));
      key = "copyFailed";
    }
    this.announce(translate(key));
    byId("copy").textContent = translate(key);
    setTimeout(() => { byId("copy").textContent = translate("copy"); }, 2500);
  }

  save() {
    const url = URL.createObjectURL(new Blob([this.call.request.body], { type: "application/json" }));
    element("a", { href: url, download: "request.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}
