// Input for one of the two photos: by file, drop, camera or URL. Shows the photo and its detected faces.

import { CameraView, hasCamera } from "./camera.js";
import { element } from "./dom.js";
import { imageFromFile, imageFromUrl } from "./image.js";
import { formatNumber, translate } from "./i18n.js";

const COMPARABLE_AREA = 0.5; // share of the largest face's area from which the server chooses by more than the area

export class PhotoInput {
  // onChange() is called when the image is replaced or removed.
  constructor(root, side, onChange) {
    Object.assign(this, { root, side, onChange, image: null, detection: null, name: "", pending: null, camera: null, cameraFailed: false });
    this.fileInput = element("input", { type: "file", accept: "image/*,.bmp", class: "visually-hidden", id: `file-${side}`, onchange: () => this.setFile(this.fileInput.files[0]) });
    this.urlInput = element("input", { type: "url", id: `url-${side}`, placeholder: "https://", spellcheck: "false", oninput: () => this.setUrl(this.urlInput.value.trim()) });
    this.removeButton = element("button", { type: "button", class: "plain", onclick: () => this.remove() });
    this.cameraButton = element("button", { type: "button", class: "plain", onclick: () => this.openCamera() });
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("over"); });
    root.addEventListener("dragleave", () => root.classList.remove("over"));
    root.addEventListener("drop", (event) => this.handleDrop(event));
    this.render();
  }

  handleDrop(event) {
    event.preventDefault();
    this.root.classList.remove("over");
    const [file] = event.dataTransfer.files;
    const url = event.dataTransfer.getData("text/uri-list").split("\n")[0];
    if (file) this.setFile(file);
    else if (url) {
      this.urlInput.value = url;
      this.setUrl(url);
    }
  }

  async setFile(file) {
    if (!file) return;
    this.urlInput.value = "";
    const pending = imageFromFile(file).catch(() => null); // the file was deleted, or is too large for the browser
    this.pending = pending;
    const image = await pending;
    this.fileInput.value = ""; // so that the same file can be chosen again, in the other input, too
    if (this.pending === pending) this.setImage(image, image ? file.name : ""); // unless replaced in the meantime
  }

  async openCamera() {
    try {
      const camera = await CameraView.open((file) => this.usePhoto(file));
      this.closeCamera(); // the button was pressed twice
      Object.assign(this, { camera, cameraFailed: false });
    } catch { // no camera, or not allowed
      this.cameraFailed = true;
    }
    this.render();
    this.camera?.root.querySelector("button").focus();
  }

  usePhoto(file) {
    this.camera = null;
    this.render();
    this.cameraButton.focus();
    if (file) this.setFile(new File([file], translate("cameraPhoto"), { type: file.type }));
  }

  closeCamera() {
    this.camera?.close(null);
  }

  setUrl(url) {
    this.pending = null;
    this.setImage(url ? imageFromUrl(url) : null, url);
  }

  remove() {
    this.pending = null;
    this.urlInput.value = "";
    this.setImage(null, "");
    this.fileInput.focus();
  }

  setImage(image, name) {
    this.closeCamera();
    if (this.image?.previewUrl) URL.revokeObjectURL(this.image.previewUrl);
    Object.assign(this, { image, name, detection: null });
    this.render();
    this.onChange();
  }

  // Exchanges the images with `other`.
  swap(other) {
    this.closeCamera();
    other.closeCamera();
    [this.image, other.image] = [other.image, this.image];
    [this.name, other.name] = [other.name, this.name];
    [this.urlInput.value, other.urlInput.value] = [other.urlInput.value, this.urlInput.value];
    this.detection = other.detection = null;
    this.render();
    other.render();
    this.onChange();
  }

  setDetection(detection) {
    this.detection = detection;
    this.render();
  }

  parameters(suffix = this.side) {
    return this.image.url ? { [`Url${suffix}`]: this.image.url } : { [`Image${suffix}`]: this.image.base64 };
  }

  // Reuses the inputs and the button, so that they keep focus and content.
  render() {
    const { side, image } = this;
    const focused = document.activeElement;
    this.cameraButton.textContent = translate("camera");
    this.cameraButton.setAttribute("aria-label", translate("cameraLabel", { side }));
    this.removeButton.textContent = translate("remove");
    this.removeButton.setAttribute("aria-label", translate("removeLabel", { side }));
    this.root.replaceChildren(
      element("div", { class: "title" }, element("h2", {}, translate("photo", { side })),
        hasCamera() ? this.cameraButton : null, image ? this.removeButton : null),
      this.camera?.root ?? this.drop(),
      ...this.notes(),
      element("label", { class: "url" }, translate("orUrl"), this.urlInput));
    if ([this.fileInput, this.urlInput, this.removeButton, this.cameraButton].includes(focused)) focused.focus();
  }

  drop() {
    const { side, image } = this;
    const hasPreview = Boolean(image?.previewUrl || this.detection?.response);
    const hasNoFace = this.detection?.error?.code === "InvalidParameterValue.NoFaceInPhoto";
    return element("div", { class: hasPreview ? "drop filled" : "drop" }, hasPreview ? this.preview() : null,
      element("label", { for: this.fileInput.id }, element("strong", {}, translate("choose", { side })), element("span", { class: "hint" }, translate("dropHint"))),
      this.fileInput,
      hasNoFace ? element("p", { class: "no-face" }, translate("noFace")) : null);
  }

  notes() {
    const faces = this.detection?.response?.FaceInfos;
    const faceCount = faces?.length;
    return [
      this.cameraFailed && translate("noteCamera"),
      this.image?.note && translate(this.image.note.key, this.image.note.values),
      this.image?.url && this.detection?.response && translate("fetchedByServer"),
      faceCount && translate(faceCount === 1 ? "oneFace" : "facesLargest", { count: formatNumber(faceCount) }),
      faceCount > 1 && area(faces[1]) >= COMPARABLE_AREA * area(faces[0]) && translate("comparableFaces"),
      this.detection?.error?.code === "AuthFailure.UnauthorizedOperation" && translate("detectionForbidden"),
    ].filter(Boolean).map((text) => element("p", { class: "hint" }, text));
  }

  preview() {
    const { response } = this.detection ?? {};
    const alt = translate("photoAlt", { side: this.side, name: this.name });
    const photo = this.image.previewUrl ? element("img", { src: this.image.previewUrl, alt }) : null;
    if (!response) return element("figure", { class: "preview" }, photo);
    const { ImageWidth: width, ImageHeight: height, FaceInfos: faces } = response;
    const hidden = photo ? { "aria-hidden": "true" } : { role: "img", "aria-label": alt };
    const drawing = element("svg", { viewBox: `0 0 ${width} ${height}`, ...hidden }, ...boxes(faces), ...landmarks(faces, Math.max(width, height)));
    if (!photo) {
      drawing.classList.add("placeholder");
      drawing.setAttribute("width", width);
      drawing.setAttribute("height", height);
    }
    return element("figure", { class: "preview" }, photo, drawing);
  }
}

function area(face) {
  return face.Width * face.Height;
}

// The bounding boxes; that of the first and largest face is highlighted.
function boxes(faces) {
  const box = (face, className) => element("rect", { x: face.X, y: face.Y, width: face.Width, height: face.Height, rx: face.Width / 30, class: className });
  return faces.flatMap((face, index) => (index ? [box(face, "face")] : [box(face, "shadow"), box(face, "largest")]));
}

function landmarks(faces, imageSide) {
  return faces.flatMap((face) => {
    const d = Object.values(face.Landmarks).map(({ X, Y }) => `M${X} ${Y}h0`).join("");
    const size = Math.min(face.Width / 14, imageSide / 90); // dots of a fixed size would hide small faces
    return [element("path", { d, class: "shadow", "stroke-width": size * 1.75 }), element("path", { d, class: "landmarks", "stroke-width": size })];
  });
}
