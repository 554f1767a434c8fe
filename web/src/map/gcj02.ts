// WGS-84 to GCJ-02, by the published formula, where the service tells WGS-84 only: the control room's compact rows.
import type { Position } from "@/api/types";

const AXIS_M = 6_378_245;
const ECCENTRICITY_2 = 0.006_693_421_622_965_943;
const RADIAN = Math.PI / 180;
const wave = (x: number, weights: readonly [number, number][]): number =>
  weights.reduce((sum, [weight, period]) => sum + weight * Math.sin((x * Math.PI) / period), 0) * (2 / 3);

export function gcj02Of([lon, lat]: Position): Position {
  if (lon < 72.004 || lon > 137.8347 || lat < 0.8293 || lat > 55.8271) return [lon, lat];
  const [x, y] = [lon - 105, lat - 35];
  const bend = wave(x, [
    [20, 1 / 6],
    [20, 1 / 2],
  ]);
  const dy =
    -100 +
    2 * x +
    3 * y +
    0.2 * y * y +
    0.1 * x * y +
    0.2 * Math.sqrt(Math.abs(x)) +
    bend +
    wave(y, [
      [20, 1],
      [40, 3],
      [160, 12],
      [320, 30],
    ]);
  const dx =
    300 +
    x +
    2 * y +
    0.1 * x * x +
    0.1 * x * y +
    0.1 * Math.sqrt(Math.abs(x)) +
    bend +
    wave(x, [
      [20, 1],
      [40, 3],
      [150, 12],
      [300, 30],
    ]);
  const sine = Math.sin(lat * RADIAN);
  const magic = 1 - ECCENTRICITY_2 * sine * sine;
  const root = Math.sqrt(magic);
  return [
    lon + dx / ((AXIS_M / root) * Math.cos(lat * RADIAN) * RADIAN),
    lat + dy / (((AXIS_M * (1 - ECCENTRICITY_2)) / (magic * root)) * RADIAN),
  ];
}
