// A base map of our own drawing: land, graticule, the corridors that the simulator drives, and cities. It needs no internet.
// It draws no borders.
import L from "leaflet";
import { type Label, labelsAt } from "./labels";
import { pixels, worldX, worldY } from "./mercator";
import { mapCities, roads } from "./roads";

const TILE = 256;
const MARGIN = 60;
type Pen = CanvasRenderingContext2D;
interface View {
  pen: Pen;
  zoom: number;
  scale: number;
  left: number;
  top: number;
  colors: Colors;
}
type Colors = Record<"land" | "settled" | "grid" | "road" | "road-edge" | "label" | "halo" | "ref", string>;

export function ownBase(): L.GridLayer {
  const Base = L.GridLayer.extend({
    createTile(coords: L.Coords): HTMLElement {
      const canvas = document.createElement("canvas");
      const density = Math.min(window.devicePixelRatio || 1, 2);
      canvas.width = canvas.height = TILE * density;
      const pen = canvas.getContext("2d");
      if (pen === null) return canvas;
      pen.scale(density, density);
      draw({
        pen,
        zoom: coords.z,
        scale: pixels(coords.z),
        left: coords.x * TILE,
        top: coords.y * TILE,
        colors: readColors(),
      });
      return canvas;
    },
  }) as unknown as new (options: L.GridLayerOptions) => L.GridLayer;
  return new Base({ maxZoom: 18, minZoom: 3, tileSize: TILE, updateWhenZooming: false, keepBuffer: 3 });
}

function readColors(): Colors {
  const style = getComputedStyle(document.documentElement);
  const names = ["land", "settled", "grid", "road", "road-edge", "label", "halo", "ref"] as const;
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--sw-map-${name}`).trim()])) as Colors;
}

function draw(view: View): void {
  view.pen.fillStyle = view.colors.land;
  view.pen.fillRect(0, 0, TILE, TILE);
  drawSettled(view);
  drawGraticule(view);
  drawRoads(view);
  for (const label of labelsAt(view.zoom)) {
    const [x, y] = [label.x - view.left, label.y - view.top];
    if (x > -label.half - MARGIN && y > -MARGIN && x < TILE + label.half + MARGIN && y < TILE + MARGIN)
      drawLabel(view, label, x, y);
  }
}

function drawSettled({ pen, zoom, scale, left, top, colors }: View): void {
  pen.fillStyle = colors.settled;
  for (const city of mapCities) {
    const radius = (city.rank === 0 ? 1 : city.rank === 1 ? 0.62 : 0.42) * Math.min(60, 2.2 * 1.62 ** zoom * 0.16);
    const [x, y] = [city.x * scale - left, city.y * scale - top];
    if (x < -radius || y < -radius || x > TILE + radius || y > TILE + radius) continue;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fill();
  }
}

function drawGraticule({ pen, zoom, scale, left, top, colors }: View): void {
  const step = zoom < 5 ? 10 : zoom < 7 ? 5 : zoom < 9 ? 1 : zoom < 11 ? 0.5 : 0.1;
  const lonOf = (px: number): number => (px / scale) * 360 - 180;
  const latOf = (px: number): number => (Math.atan(Math.exp((0.5 - px / scale) * 2 * Math.PI)) * 360) / Math.PI - 90;
  pen.strokeStyle = colors.grid;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let lon = Math.ceil(lonOf(left) / step) * step; lon <= lonOf(left + TILE); lon += step) {
    const x = Math.round(worldX(lon) * scale - left) + 0.5;
    pen.moveTo(x, 0);
    pen.lineTo(x, TILE);
  }
  for (let lat = Math.ceil(latOf(top + TILE) / step) * step; lat <= latOf(top); lat += step) {
    const y = Math.round(worldY(lat) * scale - top) + 0.5;
    pen.moveTo(0, y);
    pen.lineTo(TILE, y);
  }
  pen.stroke();
}

function drawRoads(view: View): void {
  const { pen, zoom, scale, left, top, colors } = view;
  const path = new Path2D();
  const [w, n, e, s] = [(left - 20) / scale, (top - 20) / scale, (left + TILE + 20) / scale, (top + TILE + 20) / scale];
  const every = zoom < 6 ? 8 : zoom < 8 ? 3 : 1;
  for (const { xs, ys, box } of roads()) {
    if (box[0] > e || box[2] < w || box[1] > s || box[3] < n) continue;
    path.moveTo(xs[0]! * scale - left, ys[0]! * scale - top);
    for (let at = every; at < xs.length - 1; at += every) path.lineTo(xs[at]! * scale - left, ys[at]! * scale - top);
    path.lineTo(xs[xs.length - 1]! * scale - left, ys[ys.length - 1]! * scale - top);
  }
  const width = zoom < 5 ? 1 : zoom < 7 ? 1.6 : zoom < 9 ? 2.6 : zoom < 12 ? 4.5 : 8;
  pen.lineJoin = pen.lineCap = "round";
  pen.strokeStyle = colors["road-edge"];
  pen.lineWidth = width + (zoom < 7 ? 0 : 2);
  pen.stroke(path);
  if (zoom < 7) return;
  pen.strokeStyle = colors.road;
  pen.lineWidth = width;
  pen.stroke(path);
}

function drawLabel({ pen, colors, zoom }: View, label: Label, x: number, y: number): void {
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  if (label.kind === "road") {
    pen.font = "600 11px system-ui, sans-serif";
    const width = pen.measureText(label.text).width + 10;
    pen.fillStyle = colors.ref;
    pen.beginPath();
    pen.roundRect(x - width / 2, y - 8, width, 16, 4);
    pen.fill();
    pen.fillStyle = colors.land;
    return pen.fillText(label.text, x, y + 0.5);
  }
  const size = label.rank === 0 ? 15 : 13;
  pen.fillStyle = colors.label;
  pen.beginPath();
  pen.arc(x, y, label.rank === 0 ? 3 : 2.2, 0, 2 * Math.PI);
  pen.fill();
  pen.font = `${label.rank === 0 ? 600 : 400} ${size}px "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif`;
  pen.strokeStyle = colors.halo;
  pen.lineWidth = 3.5;
  pen.lineJoin = "round";
  const at = y - size + (zoom < 5 ? 2 : 0);
  pen.strokeText(label.text, x, at);
  pen.fillText(label.text, x, at);
}
