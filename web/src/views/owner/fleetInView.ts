// From what the service tells of a view to what the map draws, and back.
import type { OwnedMap } from "@/api/types";
import type { Extent } from "@/components/FleetMap.vue";
import { isOnline } from "@/format";
import { fitsMap } from "@/map/base";
import type { FleetPoint } from "@/map/fleetLayer";

/** The service gathers vehicles in so many columns and rows of the view asked for. */
const COLUMNS = 24;

/** `at`: by when the vehicles' fixes may have grown old, in Unix milliseconds of the service's clock. */
export function pointsOf(view: OwnedMap | null, box: string, at: number): FleetPoint[] {
  if (view === null) return [];
  const vehicles = view.items.map((vehicle): FleetPoint => {
    const [lon, lat] = fitsMap(vehicle);
    return {
      id: vehicle.id,
      lon,
      lat,
      course_deg: vehicle.course_deg,
      speed_kmh: vehicle.speed_kmh,
      online: isOnline(vehicle.online, vehicle, at) ?? false,
      alarmed: vehicle.alert,
      label: vehicle.plate,
    };
  });
  const cell = cellsOf(box);
  const clusters = view.clusters.map((cluster): FleetPoint => {
    const [lon, lat] = fitsMap(cluster);
    const { vehicle_count: count, online_count: online, alerting_count: alarmed } = cluster;
    return {
      id: `${box}/${cell(cluster.wgs84[0], cluster.wgs84[1])}`,
      lon,
      lat,
      course_deg: 0,
      speed_kmh: 0,
      online: online > 0,
      alarmed: alarmed > 0,
      group: { count, online, alarmed },
    };
  });
  return [...vehicles, ...clusters];
}

/** A cluster is the same one as long as it stands in the same cell: then it glides. */
function cellsOf(box: string): (lon: number, lat: number) => string {
  const [west, south, east, north] = box.split(",").map(Number) as [number, number, number, number];
  return (lon, lat) =>
    `${Math.floor(((lon - west) * COLUMNS) / (east - west))}-${Math.floor(((lat - south) * COLUMNS) / (north - south))}`;
}

/** What holds all of them; null for none. */
export function extentOf(view: OwnedMap): Extent | null {
  const places = [...view.items, ...view.clusters].map(fitsMap);
  if (!places.length) return null;
  const grow = (at: number, pick: (a: number, b: number) => number): number =>
    places.map((place) => place[at]!).reduce((a, b) => pick(a, b));
  return [grow(0, Math.min), grow(1, Math.min), grow(0, Math.max), grow(1, Math.max)];
}

/**
 * A box that surely holds all that was told of `box`. A cluster tells only its middle, so its vehicles may stand a cell away;
 * told of again within this smaller box, they are known more closely.
 */
export function roomyBox(view: OwnedMap, box: string): string {
  const [west, south, east, north] = box.split(",").map(Number) as [number, number, number, number];
  const [lon, lat] = [(east - west) / COLUMNS, (north - south) / COLUMNS];
  const places = [...view.items, ...view.clusters].map(({ wgs84 }) => wgs84);
  const [lons, lats] = [places.map(([each]) => each), places.map(([, each]) => each)];
  const least = (values: number[]): number => values.reduce((a, b) => Math.min(a, b));
  const most = (values: number[]): number => values.reduce((a, b) => Math.max(a, b));
  const held = [
    Math.max(west, least(lons) - lon),
    Math.max(south, least(lats) - lat),
    Math.min(east, most(lons) + lon),
    Math.min(north, most(lats) + lat),
  ];
  return held.map((degrees) => degrees.toFixed(6)).join(",");
}
