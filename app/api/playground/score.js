// The meaning of a score. SCORE_AT_FAR has the same points as app/scoring/scale.py: [false-accept rate, score].

export const SCORE_AT_FAR = {
  "3.0": [[0.5, 3], [1e-1, 15], [1e-2, 28], [1e-3, 40], [1e-4, 50], [1e-5, 60]],
  "2.0": [[0.5, 10], [1e-1, 30], [1e-2, 50], [1e-3, 70], [1e-4, 80], [1e-5, 90]],
};

// The scores of the lenient, usual and strict threshold.
export function thresholds(version) {
  return SCORE_AT_FAR[version].slice(-3).map(([, score]) => score);
}

// Number N if 1 in N impostor pairs reaches the score; null below the first point and above the last.
export function pairsPerFalseAccept(score, version) {
  const points = SCORE_AT_FAR[version];
  const upper = points.findIndex(([, pointScore]) => pointScore >= score);
  if (upper < 0) return null;
  if (points[upper][1] === score) return Math.round(1 / points[upper][0]);
  if (upper === 0) return null;
  const [[farBelow, below], [farAbove, above]] = [points[upper - 1], points[upper]];
  const share = (score - below) / (above - below);
  return rounded(1 / (farBelow * (farAbove / farBelow) ** share));
}

// Number of thresholds that the score reaches, 0 to 3.
export function band(score, version) {
  return thresholds(version).filter((threshold) => score >= threshold).length;
}

// Rates between the points are interpolated, so large numbers are rounded to two digits.
function rounded(number) {
  const digits = 10 ** Math.max(0, Math.floor(Math.log10(number)));
  return number < 10 ? Math.round(number) : Math.round((10 * number) / digits) * (digits / 10);
}
