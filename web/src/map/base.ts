// One map for all pages: our own base, or the configured tiles, and whose coordinates fit it.
import L from "leaflet";
import "leaflet/dist/leaflet.css";
import "./map.css";
import { type WatchStopHandle, watch } from "vue";
import { config } from "@/api/config";
import type { Position, TileSource } from "@/api/types";
import { isDark } from "@/design/theme";
import { t } from "@/i18n";
import { gcj02Of } from "./gcj02";
import { ownBase } from "./ownBase";

export const CHINA: L.LatLngTuple = [33.5, 110.5];

/** Which of an answer's two positions fits the map that is shown. */
export const fitsMap = (place: { wgs84: Position; gcj02: Position }): Position =>
  config.value?.tiles?.crs === "gcj02" ? place.gcj02 : place.wgs84;
/** The same, where the service tells WGS-84 only. */
export const fitsTiles = (wgs84: Position): Position => (config.value?.tiles?.crs === "gcj02" ? gcj02Of(wgs84) : wgs84);
export const latLng = ([lon, lat]: Position): L.LatLngTuple => [lat, lon];

/** A Leaflet map in this element, following theme and configuration; `stop` takes all of it away. */
export function makeMap(element: HTMLElement, options: L.MapOptions = {}): { map: L.Map; stop: () => void } {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = L.map(element, {
    center: CHINA,
    zoom: 4,
    minZoom: 3,
    maxZoom: 18,
    zoomControl: false,
    attributionControl: false,
    zoomAnimation: !still,
    fadeAnimation: false,
    inertia: !still,
    maxBounds: [
      [-10, 40],
      [65, 165],
    ],
    maxBoundsViscosity: 0.7,
    ...options,
  });
  const attribution = L.control.attribution({ prefix: false, position: "bottomleft" }).addTo(map);
  let base: L.GridLayer | null = null;
  let said = "";
  function lay(): void {
    base?.remove();
    attribution.removeAttribution(said);
    const tiles = config.value?.tiles ?? null;
    base = (tiles ? tileLayer(tiles) : ownBase()).addTo(map);
    said = escaped(tiles ? tiles.attribution : t("common.map_own"));
    attribution.addAttribution(said);
  }
  lay();
  const unwatch: WatchStopHandle = watch([() => config.value?.tiles, isDark], lay, { flush: "post" });
  const resized = new ResizeObserver(() => map.invalidateSize({ animate: false }));
  resized.observe(element);
  return {
    map,
    stop: () => {
      unwatch();
      resized.disconnect();
      map.remove();
    },
  };
}

/** `{1-4}` in the address stands for Leaflet's subdomains. */
function tileLayer({ url, crs }: TileSource): L.TileLayer {
  const range = /\{(\d)-(\d)\}/.exec(url);
  const names = range
    ? Array.from({ length: Number(range[2]) - Number(range[1]) + 1 }, (_, at) => String(Number(range[1]) + at))
    : ["a", "b", "c"];
  return L.tileLayer(url.replace(/\{\d-\d\}/, "{s}"), {
    subdomains: names,
    maxZoom: 18,
    className: `tiles tiles--${crs}`,
    referrerPolicy: "no-referrer",
  });
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
