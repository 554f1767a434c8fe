// Thousands of moving points on one canvas: culled, gathered where they crowd, and found again under a finger.
import L from "leaflet";
import { reducedMotion } from "@/design/theme";
import { pixels, worldX, worldY } from "./mercator";

export interface FleetPoint {
  id: string;
  lon: number;
  lat: number;
  course_deg: number;
  speed_kmh: number;
  online: boolean;
  alarmed?: boolean;
  /** Whatever the page wants back when it is picked. */
  label?: string;
  /** Where the service tells of several vehicles together, how many they are, and of these online and with an alert. */
  group?: { count: number; online: number; alarmed: number };
}
/** `isRough`: nobody knows where in the cluster its vehicles stand. */
export type Hit =
  { kind: "point"; point: FleetPoint } | { kind: "cluster"; count: number; bounds: L.LatLngBounds; isRough: boolean };

interface Moving {
  point: FleetPoint;
  x0: number;
  y0: number;
  x: number;
  y: number;
  began: number;
}
interface Drawn {
  x: number;
  y: number;
  radius: number;
  count: number;
  members: Moving[];
}

const CELL_PX = 64;
const SINGLE_ZOOM = 12;
const GLIDE_MS = 1500;
const FRAME_MS = 33;
const SLOWEST_FRAME_MS = 500;
/** A truck at 90 km/h needs so long, at zoom 0, for a fifth of a pixel: no need to draw more often than that. */
const STEP_MS = 1_000_000;
const REACH_PX = 24;
/** Of a cluster's ring: a single alert among hundreds must still be seen. */
const LEAST_SHARE = 0.1;
const FAR = 1e-3;

export class FleetCanvas {
  private readonly canvas = L.DomUtil.create("canvas", "leaflet-zoom-animated");
  private readonly pen = this.canvas.getContext("2d")!;
  private readonly things = new Map<string, Moving>();
  private drawn: Drawn[] = [];
  private frame = 0;
  private movingUntil = 0;
  private lastDrawn = 0;
  private isNew = true;
  private topLeft: L.LatLng;
  private zoom: number;
  picked = "";

  /** `glideMs`: how long a point takes to where it is now; as long as the time between two pictures, and nothing stands still. */
  constructor(
    private readonly map: L.Map,
    private readonly glideMs = GLIDE_MS,
  ) {
    this.topLeft = map.containerPointToLatLng([0, 0]);
    this.zoom = map.getZoom();
    map.getPanes().overlayPane.append(this.canvas);
    map.on("move moveend zoomend resize viewreset", this.draw, this);
    map.on("zoomanim", this.onZoomAnimation, this);
    this.draw();
  }

  remove(): void {
    cancelAnimationFrame(this.frame);
    this.map.off("move moveend zoomend resize viewreset", this.draw, this);
    this.map.off("zoomanim", this.onZoomAnimation, this);
    this.canvas.remove();
  }

  /** All points there are; those known before glide to where they are now. */
  set(points: readonly FleetPoint[]): void {
    const now = performance.now();
    const gone = new Set(this.things.keys());
    for (const point of points) {
      gone.delete(point.id);
      this.put(point, now);
    }
    for (const id of gone) this.things.delete(id);
    this.movingUntil = now + this.glideMs;
    this.isNew = true;
    this.schedule();
  }

  private put(point: FleetPoint, now: number): void {
    const [x, y] = [worldX(point.lon), worldY(point.lat)];
    const known = this.things.get(point.id);
    if (!known) return void this.things.set(point.id, { point, x0: x, y0: y, x, y, began: 0 });
    known.point = point;
    if (known.x === x && known.y === y) return;
    const share = this.share(known, now);
    const jumps = reducedMotion.value || Math.abs(known.x - x) + Math.abs(known.y - y) > FAR;
    known.x0 = jumps ? x : known.x0 + (known.x - known.x0) * share;
    known.y0 = jumps ? y : known.y0 + (known.y - known.y0) * share;
    known.x = x;
    known.y = y;
    known.began = now;
  }

  /** What lies under this place of the container. */
  hit(at: L.Point): Hit | null {
    let best: Drawn | null = null;
    let least = Infinity;
    for (const drawn of this.drawn) {
      const distance = Math.hypot(drawn.x - at.x, drawn.y - at.y) - drawn.radius;
      if (distance < least && distance < REACH_PX) [best, least] = [drawn, distance];
    }
    if (best === null) return null;
    const [first] = best.members;
    if (best.members.length === 1 && !first!.point.group) return { kind: "point", point: first!.point };
    const isRough = best.members.length === 1;
    return {
      kind: "cluster",
      count: best.count,
      isRough,
      bounds: L.latLngBounds(best.members.map(({ point }) => [point.lat, point.lon])),
    };
  }

  redraw(): void {
    this.isNew = true;
    this.schedule();
  }

  private get frameMs(): number {
    return this.isNew ? FRAME_MS : Math.min(SLOWEST_FRAME_MS, Math.max(FRAME_MS, STEP_MS / 2 ** this.zoom));
  }

  private share(thing: Moving, now: number): number {
    return thing.began === 0 ? 1 : Math.min(1, (now - thing.began) / this.glideMs);
  }

  private schedule(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame((now) => {
      const isDue = now - this.lastDrawn >= this.frameMs;
      if (isDue) this.draw();
      if (!isDue || now < this.movingUntil) this.schedule();
    });
  }

  private onZoomAnimation(event: L.LeafletEvent): void {
    const { zoom, center } = event as L.ZoomAnimEvent;
    const map = this.map as L.Map & { _latLngToNewLayerPoint(at: L.LatLng, zoom: number, center: L.LatLng): L.Point };
    L.DomUtil.setTransform(
      this.canvas,
      map._latLngToNewLayerPoint(this.topLeft, zoom, center),
      map.getZoomScale(zoom, this.zoom),
    );
  }

  private readonly draw = (): void => {
    const now = performance.now();
    this.lastDrawn = now;
    this.isNew = false;
    const size = this.map.getSize();
    const density = Math.min(window.devicePixelRatio || 1, 2);
    this.zoom = this.map.getZoom();
    this.topLeft = this.map.containerPointToLatLng([0, 0]);
    L.DomUtil.setTransform(this.canvas, this.map.containerPointToLayerPoint([0, 0]), 1);
    if (this.canvas.width !== size.x * density || this.canvas.height !== size.y * density) {
      this.canvas.width = size.x * density;
      this.canvas.height = size.y * density;
      this.canvas.style.width = `${size.x}px`;
      this.canvas.style.height = `${size.y}px`;
    }
    this.pen.setTransform(density, 0, 0, density, 0, 0);
    this.pen.clearRect(0, 0, size.x, size.y);
    this.drawn = this.gather(size, now);
    const colors = readColors();
    for (const drawn of this.drawn) {
      if (drawn.count > 1) this.drawCluster(drawn, colors);
      else this.drawPoint(drawn, colors);
    }
  };

  /** What is in sight, with its neighbours where they crowd. Cells belong to the map, so that panning regroups nothing. */
  private gather(size: L.Point, now: number): Drawn[] {
    const scale = pixels(this.zoom);
    const origin = this.map.project(this.topLeft, this.zoom);
    const cells = new Map<number, Drawn>();
    const singles: Drawn[] = [];
    for (const thing of this.things.values()) {
      const share = this.share(thing, now);
      const [px, py] = [
        (thing.x0 + (thing.x - thing.x0) * share) * scale,
        (thing.y0 + (thing.y - thing.y0) * share) * scale,
      ];
      const [x, y] = [px - origin.x, py - origin.y];
      if (x < -CELL_PX || y < -CELL_PX || x > size.x + CELL_PX || y > size.y + CELL_PX) continue;
      if (this.zoom >= SINGLE_ZOOM) {
        singles.push(one(thing, x, y));
        continue;
      }
      const key = Math.floor((thing.x * scale) / CELL_PX) * 1_048_576 + Math.floor((thing.y * scale) / CELL_PX);
      const cell = cells.get(key);
      if (!cell) cells.set(key, one(thing, x, y));
      else join(cell, one(thing, x, y));
    }
    return [...singles, ...apart([...cells.values()])];
  }

  private drawCluster({ x, y, radius, count, members }: Drawn, colors: FleetColors): void {
    const { pen } = this;
    const online = members.reduce((sum, { point }) => sum + (point.group?.online ?? Number(point.online)), 0) / count;
    const alarmed =
      members.reduce((sum, { point }) => sum + (point.group?.alarmed ?? Number(point.alarmed ?? false)), 0) / count;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = colors.card;
    pen.fill();
    pen.lineWidth = 4;
    pen.strokeStyle = colors.offline;
    pen.stroke();
    this.drawShare(x, y, radius, online, colors.primary);
    if (alarmed > 0) this.drawShare(x, y, radius, Math.max(LEAST_SHARE, alarmed), colors.danger);
    pen.fillStyle = colors.text;
    pen.font = `600 ${radius > 22 ? 15 : 13}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(count > 999 ? `${(count / 1000).toFixed(1)}k` : String(count), x, y + 0.5);
  }

  private drawShare(x: number, y: number, radius: number, share: number, color: string): void {
    this.pen.beginPath();
    this.pen.arc(x, y, radius, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * share);
    this.pen.strokeStyle = color;
    this.pen.stroke();
  }

  private drawPoint({ x, y, members }: Drawn, colors: FleetColors): void {
    const { pen } = this;
    const { point } = members[0]!;
    const angle = (point.course_deg * Math.PI) / 180;
    const isMoving = point.online && point.speed_kmh >= 3;
    pen.fillStyle = point.alarmed ? colors.danger : point.online ? colors.primary : colors.offline;
    pen.strokeStyle = point.id === this.picked ? colors.accent : colors.card;
    pen.lineWidth = point.id === this.picked ? 3.5 : 1.5;
    pen.beginPath();
    if (isMoving) {
      const [s, c] = [Math.sin(angle), Math.cos(angle)];
      pen.moveTo(x + 11 * s, y - 11 * c);
      pen.lineTo(x + 7 * c - 8 * s, y + 7 * s + 8 * c);
      pen.lineTo(x - 4 * s, y + 4 * c);
      pen.lineTo(x - 7 * c - 8 * s, y - 7 * s + 8 * c);
      pen.closePath();
    } else {
      pen.arc(x, y, 6, 0, 2 * Math.PI);
    }
    pen.stroke();
    pen.fill();
  }
}

function one(thing: Moving, x: number, y: number): Drawn {
  const count = thing.point.group?.count ?? 1;
  return { x, y, radius: radiusOf(count), count, members: [thing] };
}

/** `other` becomes a part of `cell`, which moves to the middle of both. */
function join(cell: Drawn, other: Drawn): void {
  const count = cell.count + other.count;
  cell.x = (cell.x * cell.count + other.x * other.count) / count;
  cell.y = (cell.y * cell.count + other.y * other.count) / count;
  cell.members.push(...other.members);
  cell.count = count;
  cell.radius = radiusOf(count);
}

const radiusOf = (count: number): number => (count > 1 ? Math.min(27, 12 + Math.log2(count) * 1.7) : 9);

/** Joins what would overlap: the greater take in the lesser, and stay where they are, or one would swallow all. */
function apart(groups: Drawn[]): Drawn[] {
  const kept: Drawn[] = [];
  for (const group of groups.sort((a, b) => b.count - a.count)) {
    const near = kept.find(
      (other) => Math.hypot(other.x - group.x, other.y - group.y) < 0.85 * (other.radius + group.radius),
    );
    if (near === undefined || (near.count === 1 && group.count === 1)) {
      kept.push(group);
      continue;
    }
    near.members.push(...group.members);
    near.count += group.count;
  }
  return kept;
}

type FleetColors = Record<"primary" | "card" | "text" | "danger" | "offline" | "accent", string>;
function readColors(): FleetColors {
  const style = getComputedStyle(document.documentElement);
  const names = ["primary", "card", "text", "danger", "offline", "accent"] as const;
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--sw-${name}`).trim()])) as FleetColors;
}
