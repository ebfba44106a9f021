// One of the two pictures: choose, drop or address in, a picture with its faces on the page.

import { make } from "./dom.js";
import { fromAddress, fromFile } from "./picture.js";
import { number, say } from "./text.js";

export class Slot {
  // changed() is called whenever there is another picture, or none.
  constructor(root, side, changed) {
    Object.assign(this, { root, side, changed, picture: null, detection: null, name: "", made: null });
    this.file = make("input", { type: "file", accept: "image/*,.bmp", class: "visually-hidden", id: `file-${side}`, onchange: () => this.take(this.file.files[0]) });
    this.address = make("input", { type: "url", id: `url-${side}`, placeholder: "https://", spellcheck: "false", oninput: () => this.point(this.address.value.trim()) });
    this.removal = make("button", { type: "button", class: "plain", onclick: () => this.remove() });
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("over"); });
    root.addEventListener("dragleave", () => root.classList.remove("over"));
    root.addEventListener("drop", (event) => this.dropped(event));
    this.draw();
  }

  dropped(event) {
    event.preventDefault();
    this.root.classList.remove("over");
    const [file] = event.dataTransfer.files;
    const address = event.dataTransfer.getData("text/uri-list").split("\n")[0];
    if (file) this.take(file);
    else if (address) {
      this.address.value = address;
      this.point(address);
    }
  }

  async take(file) {
    if (!file) return;
    this.address.value = "";
    const made = fromFile(file).catch(() => null); // the file is gone, or too large for this browser
    this.made = made;
    const picture = await made;
    if (this.made === made) this.set(picture, picture ? file.name : ""); // else another one was chosen meanwhile
  }

  point(url) {
    this.made = null;
    this.set(url ? fromAddress(url) : null, url);
  }

  remove() {
    this.made = null;
    this.file.value = "";
    this.address.value = "";
    this.set(null, "");
    this.file.focus();
  }

  set(picture, name) {
    if (this.picture?.shown) URL.revokeObjectURL(this.picture.shown);
    Object.assign(this, { picture, name, detection: null });
    this.draw();
    this.changed(this);
  }

  found(detection) {
    this.detection = detection;
    this.draw();
  }

  parameters(suffix = this.side) {
    return this.picture.url ? { [`Url${suffix}`]: this.picture.url } : { [`Image${suffix}`]: this.picture.base64 };
  }

  // Inputs and the button are moved, not made anew, so that they keep focus and content.
  draw() {
    const { side, picture } = this;
    const focused = document.activeElement;
    const isSeen = Boolean(picture?.shown || this.detection?.response);
    const drop = make("div", { class: isSeen ? "drop full" : "drop" }, isSeen ? this.seen() : null,
      make("label", { for: this.file.id }, make("strong", {}, say("choose", { side })), make("span", { class: "hint" }, say("dropHint"))),
      this.file);
    this.removal.textContent = say("remove");
    this.removal.setAttribute("aria-label", say("removeLabel", { side }));
    this.root.replaceChildren(
      make("h2", {}, say("picture", { side }), picture ? this.removal : null),
      drop,
      ...this.notes(),
      make("label", { class: "url" }, say("orUrl"), this.address));
    if ([this.file, this.address, this.removal].includes(focused)) focused.focus();
  }

  notes() {
    const faces = this.detection?.response?.FaceInfos.length;
    const values = { count: number(faces ?? 0) };
    return [
      this.picture?.note && say(this.picture.note.key, this.picture.note.values),
      this.picture?.url && this.detection?.response && say("fetchedByServer"),
      faces && say(faces === 1 ? "oneFace" : "facesLargest", values),
      this.detection?.error?.code === "AuthFailure.UnauthorizedOperation" && say("notAllowedToLook"),
    ].filter(Boolean).map((text) => make("p", { class: "hint" }, text));
  }

  seen() {
    const { response } = this.detection ?? {};
    const alt = say("pictureTaken", { side: this.side, name: this.name });
    const image = this.picture.shown ? make("img", { src: this.picture.shown, alt }) : null;
    if (!response) return make("figure", { class: "seen" }, image);
    const { ImageWidth: width, ImageHeight: height, FaceInfos: faces } = response;
    const box = (face, kind) => make("rect", { x: face.X, y: face.Y, width: face.Width, height: face.Height, rx: face.Width / 30, class: kind });
    const boxes = faces.flatMap((face, index) => (index ? [box(face, "face")] : [box(face, "under"), box(face, "chosen")]));
    const dots = faces.flatMap((face) => {
      const d = Object.values(face.Landmarks).map(({ X, Y }) => `M${X} ${Y}h0`).join("");
      const size = Math.min(face.Width / 14, Math.max(width, height) / 90); // dots of one size would hide small faces
      return [make("path", { d, class: "under", "stroke-width": size * 1.75 }), make("path", { d, class: "landmarks", "stroke-width": size })];
    });
    const hidden = image ? { "aria-hidden": "true" } : { role: "img", "aria-label": alt };
    const drawing = make("svg", { viewBox: `0 0 ${width} ${height}`, ...hidden }, ...boxes, ...dots);
    if (!image) {
      drawing.classList.add("plate");
      drawing.setAttribute("width", width);
      drawing.setAttribute("height", height);
    }
    return make("figure", { class: "seen" }, image, drawing);
  }
}
