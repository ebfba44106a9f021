// A file or an address in, a picture as it is sent out: { base64 | url, shown, note }.
// What the service would refuse for its format or size is turned into a JPEG that it takes, and the note says so.

const TAKEN = ["image/jpeg", "image/png", "image/bmp"];
const LONGEST = { "image/jpeg": 4000, "image/png": 2000, "image/bmp": 2000 };
const MOST_BYTES = Math.floor((5 * 1024 * 1024 * 3) / 4);
const QUALITY = 0.92;

export function fromAddress(url) {
  return { url };
}

export async function fromFile(file) {
  const bitmap = await createImageBitmap(file).catch(() => null); // upright, by EXIF
  if (!bitmap) return { base64: await base64(file), note: { key: "noteUnreadable" } };
  const { width, height } = bitmap;
  const isTaken = TAKEN.includes(file.type);
  if (isTaken && Math.max(width, height) <= LONGEST[file.type] && file.size <= MOST_BYTES) {
    return { base64: await base64(file), shown: URL.createObjectURL(file) };
  }
  const made = await jpeg(bitmap);
  const key = made.width === width ? "noteConverted" : "noteShrunk";
  const note = { key, values: { from: `${width} × ${height}`, to: `${made.width} × ${made.height}` } };
  return { base64: await base64(made.file), shown: URL.createObjectURL(made.file), note };
}

async function jpeg(bitmap) {
  for (let side = Math.min(LONGEST["image/jpeg"], Math.max(bitmap.width, bitmap.height)); ; side = Math.round(side / 1.4)) {
    const scale = side / Math.max(bitmap.width, bitmap.height);
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "white"; // JPEG has no transparency
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const file = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    if (file.size <= MOST_BYTES) return { file, width: canvas.width, height: canvas.height };
  }
}

async function base64(blob) {
  const text = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
  return text.slice(text.indexOf(",") + 1);
}
