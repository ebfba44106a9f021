// What came back, as elements: a score on its scale, an error in words, the faces' qualities side by side.

import { make } from "./dom.js";
import { band, marks, oneIn } from "./score.js";
import { has, number, say } from "./text.js";

const WIDTH = 1000;
const HEIGHT = 12;

export function scored({ response, requestId, milliseconds }, about) {
  const { Score: score, FaceModelVersion: version } = response;
  const reached = band(score, version);
  return [
    make("p", { class: "headline" },
      make("b", {}, make("span", { class: "visually-hidden" }, `${say("scoreLabel")} `), number(score, 2)),
      make("span", { class: `band-${reached}` }, say(`band${reached}`))),
    scale(score, version),
    make("p", {}, far(score, version)),
    make("p", { class: "facts" }, caveat(version, about)),
    make("p", { class: "facts" }, say("facts", { ms: number(milliseconds), version, id: requestId })),
  ];
}

export function far(score, version) {
  if (score === 100) return say("farIdentical");
  const pairs = oneIn(score, version);
  if (pairs === null) return say(band(score, version) ? "farRare" : "farCommon");
  return say("farOneIn", { count: number(pairs, pairs < 10 && pairs % 1 ? 1 : 0) });
}

function caveat(version, about) {
  const engine = about?.engine ?? {};
  const calibration = engine.calibration?.[version === "2.0" ? engine.pack_2_0 : engine.pack];
  if (calibration?.status !== "measured") return say("farUnmeasured");
  return say("farOf", { data: calibration.data });
}

function scale(score, version) {
  const points = marks(version);
  const names = ["lenient", "usual", "strict"];
  const x = (value) => (value / 100) * WIDTH;
  const starts = [0, ...points.map((mark) => mark.score), 100];
  const label = say("scaleText", { score: number(score, 2), marks: points.map((mark) => mark.score).join(", ") });
  const drawing = make("svg", { class: "scale", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  starts.slice(0, -1).forEach((start, index) => drawing.append(
    make("rect", { x: x(start), y: 0, width: x(starts[index + 1] - start), height: HEIGHT, class: index ? `zone-${index}` : "track" }),
  ));
  points.forEach((mark) => drawing.append(make("line", { x1: x(mark.score), x2: x(mark.score), y1: 0, y2: HEIGHT })));
  const here = make("span", { class: "here" }, "▼");
  here.style.left = `${score}%`;
  const inWords = make("div", { class: "marks", "aria-hidden": "true" });
  points.forEach((mark, index) => {
    const note = make("span", {}, make("b", {}, String(mark.score)), ` ${say(names[index])}`);
    note.style.left = `${mark.score}%`;
    inWords.append(note);
  });
  return make("div", { class: "scale-frame" }, make("div", { class: "marks", "aria-hidden": "true" }, here), drawing, inWords);
}

export function failed({ error, requestId }) {
  const key = `error:${error.code}`;
  const isMissingKey = error.code !== "MissingParameter" || error.message.includes("Authorization");
  const words = has(key) && isMissingKey ? say(key) : error.message;
  return make("div", { class: "error" },
    make("p", {}, make("strong", {}, words)),
    error.message && words !== error.message ? make("p", {}, say("serverSaid", { message: error.message })) : null,
    error.isLocal ? null : make("p", { class: "facts" }, say("errorFacts", { code: error.code, id: requestId })));
}

const REGIONS = { Eye: 80, Nose: 60, Mouth: 50, Eyebrow: 80, Cheek: 70, Chin: 70 };
const SEVERE = ["Eye", "Nose", "Mouth"];

// The bands are those of README, "Is the picture good enough?".
function measures(face) {
  const { FaceQualityInfo: quality, FaceAttributesInfo: seen } = face;
  const { Sharpness: sharp, Brightness: bright, Completeness: visible } = quality;
  return {
    qualityScore: [number(quality.Score)],
    sharpness: [number(sharp), sharp < 40 ? "low" : sharp < 80 ? "mild" : ""],
    brightness: [number(bright), bright < 30 || bright > 70 ? "mild" : ""],
    ...Object.fromEntries(Object.entries(REGIONS).map(([region, upTo]) => [
      region.toLowerCase(),
      [`${visible[region]} %`, visible[region] > upTo ? "" : SEVERE.includes(region) ? "low" : "mild"],
    ])),
    pose: [`${seen.Pitch}°, ${seen.Yaw}°, ${seen.Roll}°`],
    mask: [say(seen.Mask ? "yes" : "no"), seen.Mask ? "mild" : ""],
  };
}

export function qualities(detections) {
  const faces = detections.map((detection) => detection?.response?.FaceInfos[0]);
  if (!faces.some(Boolean)) return null;
  const told = faces.map((face) => (face ? measures(face) : null));
  const rows = Object.keys(told.find(Boolean)).map((key) => make("tr", {},
    make("th", { scope: "row" }, say(key)),
    ...told.map((of) => make("td", { class: of?.[key][1] || undefined }, of ? of[key][0] : say("notSeen")))));
  return make("div", { class: "table" },
    make("table", {},
      make("caption", {}, say("qualityOf")),
      make("thead", {}, make("tr", {},
        make("th", { scope: "col" }, say("measure")),
        ...["A", "B"].map((side) => make("th", { scope: "col" }, say("picture", { side }))))),
      make("tbody", {}, ...rows)),
    make("p", { class: "hint" }, say("legend")));
}
