// Which part of the world to ask for, when somebody looks at this part of the map.
import type { Viewport } from "@/components/FleetMap.vue";

const MARGIN_DEG = 0.02;

/** The view, wide enough to be the same one while somebody only shifts it a little: whole tiles of its zoom. */
export function boxOf({ west, south, east, north, zoom }: Viewport): string {
  const step = 360 / 2 ** Math.round(zoom);
  const edge = (degrees: number, round: (value: number) => number, least: number, most: number): string =>
    Math.min(most, Math.max(least, round(degrees / step) * step)).toFixed(5);
  return [
    edge(west - MARGIN_DEG, Math.floor, -180, 179),
    edge(south - MARGIN_DEG, Math.floor, -85, 84),
    edge(east + MARGIN_DEG, Math.ceil, -179, 180),
    edge(north + MARGIN_DEG, Math.ceil, -84, 85),
  ].join();
}
