// What a score means: the points of app/scoring/scale.py at which false-accept rates are known, and words for those between.

export const AT_FAR = {
  "3.0": [[0.5, 3], [1e-1, 15], [1e-2, 28], [1e-3, 40], [1e-4, 50], [1e-5, 60]],
  "2.0": [[0.5, 10], [1e-1, 30], [1e-2, 50], [1e-3, 70], [1e-4, 80], [1e-5, 90]],
};

export function marks(version) {
  return AT_FAR[version].slice(-3).map(([far, score]) => ({ far, score }));
}

// One in how many pairs of different people reaches the score; null below the first point and beyond the last.
export function oneIn(score, version) {
  const points = AT_FAR[version];
  const after = points.findIndex(([, at]) => at >= score);
  if (after < 0) return null;
  if (points[after][1] === score) return Math.round(1 / points[after][0]);
  if (after === 0) return null;
  const [[farBelow, below], [farAbove, above]] = [points[after - 1], points[after]];
  const share = (score - below) / (above - below);
  return rounded(1 / (farBelow * (farAbove / farBelow) ** share));
}

// 0 below all marks, 1 to 3 from each of them on.
export function band(score, version) {
  return marks(version).filter((mark) => score >= mark.score).length;
}

// The points between are not measured, so two digits would say too much of large numbers.
function rounded(number) {
  const digits = 10 ** Math.max(0, Math.floor(Math.log10(number)));
  return number < 10 ? Math.round(number) : Math.round((10 * number) / digits) * (digits / 10);
}
