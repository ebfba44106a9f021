// The texts of the page, from strings.json: { key: [English, Chinese] }. The initial language is that of the browser.

const LANGUAGES = ["en", "zh"];
const texts = await (await fetch(new URL("strings.json", import.meta.url))).json();
let current = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export function language() {
  return current;
}

export function switchLanguage() {
  current = current === "en" ? "zh" : "en";
}

export function hasText(key) {
  return key in texts;
}

export function translate(key, values = {}) {
  return texts[key][LANGUAGES.indexOf(current)].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function formatNumber(value, digits = 0) {
  return value.toLocaleString(current, { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

// Translates the elements that index.html marks with data-text or data-label.
export function translatePage() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = translate(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", translate(element.dataset.label));
}
