// The simulator's roads, bent as it bends them (`sim/world.py`), so that trucks drive on what is drawn.
import { cities, corridors } from "virtual:geography";
import { worldX, worldY } from "./mercator";

type Point = readonly [number, number];
export interface Road {
  ref: string;
  xs: Float64Array;
  ys: Float64Array;
  box: [number, number, number, number];
}
export interface City {
  name: string;
  x: number;
  y: number;
  rank: 0 | 1 | 2;
}

const STEP_M = 1500;
const EARTH_M = 6_371_008.8;
const RADIAN = Math.PI / 180;
const METRES_PER_DEGREE = EARTH_M * RADIAN;

export const mapCities: City[] = cities.map(([name, lon, lat, rank]) => ({
  name,
  x: worldX(lon),
  y: worldY(lat),
  rank,
}));

let laid: Road[] | null = null;
/** Made when first asked for: about 30,000 points. */
export function roads(): Road[] {
  return (laid ??= lay());
}

function lay(): Road[] {
  const built = new Set<string>();
  return corridors.flatMap(([ref, via]) => {
    const stops: Point[] = via.map((stop) => (typeof stop === "number" ? [cities[stop]![1], cities[stop]![2]] : stop));
    return stops.slice(1).flatMap((b, at) => {
      const a = stops[at]!;
      const key = [a, b].map(String).sort().join("/");
      if (built.has(key)) return [];
      built.add(key);
      return [roadOf(ref, bent(stops[at - 1] ?? a, a, b, stops[at + 2] ?? b))];
    });
  });
}

function roadOf(ref: string, shape: Point[]): Road {
  const xs = Float64Array.from(shape, ([lon]) => worldX(lon));
  const ys = Float64Array.from(shape, ([, lat]) => worldY(lat));
  return { ref, xs, ys, box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] };
}

function metresBetween(a: Point, b: Point): number {
  const half =
    Math.sin(((b[1] - a[1]) * RADIAN) / 2) ** 2 +
    Math.cos(a[1] * RADIAN) * Math.cos(b[1] * RADIAN) * Math.sin(((b[0] - a[0]) * RADIAN) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(half));
}

function bent(before: Point, a: Point, b: Point, after: Point): Point[] {
  const length = metresBetween(a, b);
  const count = Math.max(2, Math.ceil(length / STEP_M));
  const sway = Math.min(900, length * 0.012) / METRES_PER_DEGREE;
  const waves = Math.max(1, Math.round(length / 14_000));
  const along = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  const across: Point = [-(b[1] - a[1]) / along, (b[0] - a[0]) / along];
  return Array.from({ length: count + 1 }, (_, step): Point => {
    const t = step / count;
    const aside = sway * (Math.sin(Math.PI * waves * t) + 0.5 * Math.sin(Math.PI * (2 * waves + 1) * t));
    return [
      spline(before[0], a[0], b[0], after[0], t) + across[0] * aside,
      spline(before[1], a[1], b[1], after[1], t) + across[1] * aside,
    ];
  });
}

function spline(p0: number, p1: number, p2: number, p3: number, t: number): number {
  const [m1, m2] = [0.3 * (p2 - p0), 0.3 * (p3 - p1)];
  const [t2, t3] = [t * t, t * t * t];
  return (2 * t3 - 3 * t2 + 1) * p1 + (t3 - 2 * t2 + t) * m1 + (3 * t2 - 2 * t3) * p2 + (t3 - t2) * m2;
}
