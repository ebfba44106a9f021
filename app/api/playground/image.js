// File or URL -> image as sent to the service: { base64 | url, previewUrl, note }.
// A file whose format or size the service would reject is converted to JPEG, and the note reports that.

const ACCEPTED_TYPES = ["image/jpeg", "image/png", "image/bmp"];
const MAX_SIDE = { "image/jpeg": 4000, "image/png": 2000, "image/bmp": 2000 };
const MAX_BYTES = Math.floor((5 * 1024 * 1024 * 3) / 4);
export const JPEG_QUALITY = 0.92;

export function imageFromUrl(url) {
  return { url };
}

export async function imageFromFile(file) {
  const bitmap = await createImageBitmap(file).catch(() => null); // applies the EXIF orientation
  if (!bitmap) return { base64: await base64(file), note: { key: "noteUnreadable" } };
  const { width, height } = bitmap;
  const isAccepted = ACCEPTED_TYPES.includes(file.type);
  if (isAccepted && Math.max(width, height) <= MAX_SIDE[file.type] && file.size <= MAX_BYTES) {
    return { base64: await base64(file), previewUrl: URL.createObjectURL(file) };
  }
  const converted = await convertToJpeg(bitmap);
  const key = converted.width === width ? "noteConverted" : "noteShrunk";
  const note = { key, values: { from: `${width} × ${height}`, to: `${converted.width} × ${converted.height}` } };
  return { base64: await base64(converted.file), previewUrl: URL.createObjectURL(converted.file), note };
}

async function convertToJpeg(bitmap) {
  const longest = Math.max(bitmap.width, bitmap.height);
  for (let side = Math.min(MAX_SIDE["image/jpeg"], longest); ; side = Math.round(side / 1.4)) {
    const scale = side / longest;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "white"; // JPEG has no transparency
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const file = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    if (file.size <= MAX_BYTES) return { file, width: canvas.width, height: canvas.height };
  }
}

async function base64(blob) {
  const dataUrl = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
  return dataUrl.slice(dataUrl.indexOf(",") + 1);
}
