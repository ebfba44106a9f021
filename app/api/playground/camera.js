// Takes a photo with the camera of the device. Browsers allow the camera in secure contexts only: HTTPS or localhost.

import { element } from "./dom.js";
import { JPEG_QUALITY } from "./image.js";
import { translate } from "./i18n.js";

export function hasCamera() {
  return isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

// The picture of the camera with its two buttons. Every end stops the camera.
export class CameraView {
  // onPhoto(file | null) is called once; null: cancelled.
  constructor(stream, onPhoto) {
    Object.assign(this, { stream, onPhoto });
    this.video = element("video", { autoplay: true, playsinline: true });
    this.video.muted = true;
    this.video.srcObject = stream;
    this.root = element("div", { class: "camera" }, this.video,
      element("p", {},
        element("button", { type: "button", "data-text": "takePhoto", onclick: () => this.take() }, translate("takePhoto")),
        element("button", { type: "button", class: "plain", "data-text": "cancel", onclick: () => this.close(null) }, translate("cancel"))));
  }

  static async open(onPhoto) {
    return new CameraView(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } }), onPhoto);
  }

  async take() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return; // no frame has arrived
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    this.close(await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY)));
  }

  close(file) {
    this.stream.getTracks().forEach((track) => track.stop());
    this.onPhoto(file);
  }
}
