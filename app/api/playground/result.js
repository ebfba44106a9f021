// Elements for the results: the score on its scale, an error message, the table of face qualities.

import { element } from "./dom.js";
import { band, pairsPerFalseAccept, thresholds } from "./score.js";
import { formatNumber, hasText, translate } from "./i18n.js";

const SIDES = ["A", "B"];
const WIDTH = 1000;
const HEIGHT = 12;

export function scoreElements({ response, requestId, milliseconds }, server) {
  const { Score: score, FaceModelVersion: version } = response;
  const reached = band(score, version);
  return [
    element("p", { class: "headline" },
      element("b", {}, element("span", { class: "visually-hidden" }, `${translate("scoreLabel")} `), formatNumber(score, 2)),
      element("span", { class: `band-${reached}` }, translate(`band${reached}`))),
    scale(score, version),
    element("p", {}, falseAcceptText(score, version)),
    element("p", { class: "facts" }, calibrationText(version, server)),
    element("p", { class: "facts" }, translate("facts", { ms: formatNumber(milliseconds), version, id: requestId })),
  ];
}

function falseAcceptText(score, version) {
  if (score === 100) return translate("farIdentical");
  const pairs = pairsPerFalseAccept(score, version);
  if (pairs === null) return translate(band(score, version) ? "farRare" : "farCommon");
  return translate("farOneIn", { count: formatNumber(pairs, pairs < 10 && pairs % 1 ? 1 : 0) });
}

function calibrationText(version, server) {
  const engine = server?.engine ?? {};
  const calibration = engine.calibration?.[version === "2.0" ? engine.pack_of_version_2_0 : engine.pack];
  const { population } = engine;
  const table = calibration?.populations[population];
  if (!table || table.status === "provisional") return translate("farUnmeasured");
  const key = table.status === "measured" ? "farMeasured" : "farExtrapolated";
  return translate(key, { population, data: dataName(table.data) });
}

// The data of the shipped calibrations have a translated name; those of other calibrations are shown as they are.
function dataName(name) {
  return hasText(`data:${name}`) ? translate(`data:${name}`) : name;
}

function scale(score, version) {
  const scores = thresholds(version);
  const names = ["lenient", "usual", "strict"];
  const x = (value) => (value / 100) * WIDTH;
  const starts = [0, ...scores, 100];
  const label = translate("scaleText", { score: formatNumber(score, 2), marks: scores.join(translate("listSeparator")) });
  const drawing = element("svg", { class: "scale", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  starts.slice(0, -1).forEach((start, index) => drawing.append(
    element("rect", { x: x(start), y: 0, width: x(starts[index + 1] - start), height: HEIGHT, class: index ? `zone-${index}` : "track" }),
  ));
  scores.forEach((threshold) => drawing.append(element("line", { x1: x(threshold), x2: x(threshold), y1: 0, y2: HEIGHT })));
  const pointer = element("span", { class: "pointer" }, "▼");
  pointer.style.left = `${score}%`;
  const labels = element("div", { class: "marks", "aria-hidden": "true" });
  scores.forEach((threshold, index) => {
    const thresholdLabel = element("span", {}, element("b", {}, String(threshold)), ` ${translate(names[index])}`);
    thresholdLabel.style.left = `${threshold}%`;
    labels.append(thresholdLabel);
  });
  return element("div", { class: "scale-frame" }, element("div", { class: "marks", "aria-hidden": "true" }, pointer), drawing, labels);
}

// The explanation of an error, or else the message of the service.
function errorText({ code, message }) {
  const key = `error:${code}`;
  const isMissingSignature = code !== "MissingParameter" || message.includes("Authorization");
  return hasText(key) && isMissingSignature ? translate(key) : message;
}

export function errorElement({ error, requestId }) {
  const text = errorText(error);
  return element("div", { class: "error" },
    element("p", {}, element("strong", {}, text)),
    error.message && text !== error.message ? element("p", {}, translate("serverMessage", { message: error.message })) : null,
    error.isLocal ? null : element("p", { class: "facts" }, translate("errorFacts", { code: error.code, id: requestId })));
}

// Visible share of a region, in percent, up to which QualityControl reports a problem (app/vision/quality/assessment.py).
const PROBLEM_VISIBILITY = { Eye: 80, Nose: 60, Mouth: 50, Eyebrow: 80, Cheek: 70, Chin: 70 };
const SEVERE = ["Eye", "Nose", "Mouth"];

// { key: [text, severity] } of one face.
function qualityRows(face) {
  const { FaceQualityInfo: quality, FaceAttributesInfo: attributes } = face;
  const { Sharpness: sharpness, Brightness: brightness, Completeness: visible } = quality;
  return {
    qualityScore: [formatNumber(quality.Score)],
    sharpness: [formatNumber(sharpness), sharpness < 40 ? "low" : sharpness < 80 ? "mild" : ""],
    brightness: [formatNumber(brightness), brightness < 30 || brightness > 70 ? "mild" : ""],
    ...Object.fromEntries(Object.entries(PROBLEM_VISIBILITY).map(([region, maximum]) => [
      region.toLowerCase(),
      [`${visible[region]} %`, visible[region] > maximum ? "" : SEVERE.includes(region) ? "low" : "mild"],
    ])),
    pose: [`${attributes.Pitch}°, ${attributes.Yaw}°, ${attributes.Roll}°`],
    mask: [translate(attributes.Mask ? "yes" : "no"), attributes.Mask ? "mild" : ""],
  };
}

// One sentence about the quality of the faces, which opens to a table. Severe problems open it at once.
export function qualityDetails(detections) {
  const columns = detections.map((detection) => {
    const face = detection?.response?.FaceInfos[0];
    return face ? qualityRows(face) : null;
  });
  if (!columns.some(Boolean)) return null;
  const problems = columns.flatMap((column, index) => Object.entries(column ?? {})
    .filter(([, [, severity]]) => severity)
    .map(([key, [value, severity]]) => ({ severity, text: translate("qualityProblem", { measure: translate(key), side: SIDES[index], value }) })));
  const isLow = problems.some(({ severity }) => severity === "low");
  const list = (texts) => texts.join(translate("listSeparator"));
  const sentence = translate(isLow ? "qualityLow" : problems.length ? "qualityMild" : "qualityGood", {
    sides: list(SIDES.filter((_, index) => columns[index])),
    problems: list(problems.map(({ text }) => text)),
  });
  return element("details", { class: "quality", open: isLow },
    element("summary", {}, sentence),
    element("div", { class: "table" }, qualityTable(columns)),
    problems.length ? element("p", { class: "hint" }, translate("legend")) : null);
}

function qualityTable(columns) {
  const rows = Object.keys(columns.find(Boolean)).map((key) => element("tr", {},
    element("th", { scope: "row" }, translate(key)),
    ...columns.map((column) => element("td", { class: column?.[key][1] || undefined }, column ? column[key][0] : translate("notDetected")))));
  return element("table", {},
    element("caption", {}, translate("qualityCaption")),
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, translate("measure")),
      ...SIDES.map((side) => element("th", { scope: "col" }, translate("photo", { side }))))),
    element("tbody", {}, ...rows));
}
