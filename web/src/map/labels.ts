// Which names stand where on the own map: placed once for each zoom, so that tiles agree at their seams.
import { pixels } from "./mercator";
import { mapCities, roads } from "./roads";

export interface Label {
  text: string;
  x: number;
  y: number;
  kind: "city" | "road";
  rank: number;
  half: number;
}

const made = new Map<number, Label[]>();
const ROAD_EVERY_PX = 420;

/** In pixels of the whole map at this zoom. */
export function labelsAt(zoom: number): Label[] {
  let labels = made.get(zoom);
  if (!labels) made.set(zoom, (labels = place(zoom)));
  return labels;
}

function place(zoom: number): Label[] {
  const scale = pixels(zoom);
  const most = zoom < 5 ? 0 : zoom < 7 ? 1 : 2;
  const wanted: Label[] = mapCities
    .filter((city) => city.rank <= most)
    .sort((a, b) => a.rank - b.rank)
    .map((city) => ({
      text: city.name,
      x: city.x * scale,
      y: city.y * scale,
      kind: "city",
      rank: city.rank,
      half: city.name.length * 8 + 6,
    }));
  if (zoom >= 7) wanted.push(...roadLabels(scale));
  const taken: Label[] = [];
  for (const label of wanted) {
    const clear = taken.every(
      (other) => Math.abs(other.x - label.x) > other.half + label.half || Math.abs(other.y - label.y) > 24,
    );
    if (clear) taken.push(label);
  }
  return taken;
}

function roadLabels(scale: number): Label[] {
  const found: Label[] = [];
  for (const road of roads()) {
    let since = ROAD_EVERY_PX / 2;
    for (let at = 1; at < road.xs.length; at += 1) {
      since += Math.hypot(road.xs[at]! - road.xs[at - 1]!, road.ys[at]! - road.ys[at - 1]!) * scale;
      if (since < ROAD_EVERY_PX) continue;
      since = 0;
      found.push({
        text: road.ref,
        x: road.xs[at]! * scale,
        y: road.ys[at]! * scale,
        kind: "road",
        rank: 3,
        half: road.ref.length * 5 + 8,
      });
      if (found.length > 4000) return found;
    }
  }
  return found;
}
