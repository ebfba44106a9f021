// The page's words, from strings.json: { key: [English, Chinese] }. The language is the browser's until it is switched.

const LANGUAGES = ["en", "zh"];
const table = await (await fetch(new URL("strings.json", import.meta.url))).json();
let current = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export function language() {
  return current;
}

export function switchLanguage() {
  current = current === "en" ? "zh" : "en";
}

export function has(key) {
  return key in table;
}

export function say(key, values = {}) {
  return table[key][LANGUAGES.indexOf(current)].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function number(value, digits = 0) {
  return value.toLocaleString(current, { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

// Everything that index.html marks with data-text or data-label.
export function translatePage() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
}
