// What the build does besides bundling: our own icons for Vant, our own roads, and files compressed beforehand.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

type Stop = string | [number, number];
interface City {
  name: string;
  province: string;
  lon: number;
  lat: number;
}
interface Corridor {
  ref: string;
  name: string;
  via: Stop[];
}

/** Vant's icon font is 28 KB and names a foreign host; the few icons that its components show are masks of ours. */
export function ownVantIcons(css: string): Plugin {
  return {
    name: "own-vant-icons",
    enforce: "pre",
    load(id) {
      if (!/vant\/(es|lib)\/icon\/index\.css/.test(id)) return null;
      return readFileSync(css, "utf8");
    },
  };
}

/** `virtual:geography`: cities and corridors of `geography/`, as small as the offline map needs them. */
export function geography(folder: string): Plugin {
  const name = "virtual:geography";
  return {
    name: "geography",
    resolveId: (id) => (id === name ? `\0${name}` : null),
    load(id) {
      if (id !== `\0${name}`) return null;
      const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), "utf8"));
      const cities = read("cities.json") as City[];
      const corridors = read("corridors.json") as Corridor[];
      for (const file of ["cities.json", "corridors.json"]) this.addWatchFile(join(folder, file));
      const provinces = new Set<string>();
      const compact = cities.map((city) => {
        const first = !provinces.has(city.province);
        provinces.add(city.province);
        const roads = corridors.filter((corridor) => corridor.via.includes(city.name)).length;
        return [city.name, city.lon, city.lat, first ? 0 : roads > 1 ? 1 : 2];
      });
      const index = new Map(cities.map((city, at) => [city.name, at]));
      const roads = corridors.map(({ ref, via }) => [
        ref,
        via.map((stop) => (typeof stop === "string" ? index.get(stop) : stop)),
      ]);
      return `export const cities = ${JSON.stringify(compact)}; export const corridors = ${JSON.stringify(roads)};`;
    },
  };
}

/** `.gz` and `.br` beside each text file, for the service to hand out. */
export function compressed(): Plugin {
  let out = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved: (config) => void (out = resolve(config.root, config.build.outDir)),
    closeBundle() {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|svg|webmanifest)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        if (bytes.length < 600) continue;
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      }
    },
  };
}
