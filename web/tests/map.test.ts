import assert from "node:assert/strict";
import { test } from "node:test";
import { gcj02Of } from "@/map/gcj02";
import { pixels, worldX, worldY } from "@/map/mercator";
import { boxOf } from "@/map/viewport";

const close = (got: number, wanted: number, by: number): void =>
  assert.ok(Math.abs(got - wanted) <= by, `${got} is not ${wanted}`);

test("the published pair of WGS-84 and GCJ-02 comes out", () => {
  const [lon, lat] = gcj02Of([116.404, 39.915]);
  close(lon, 116.41024449916938, 1e-9);
  close(lat, 39.91640428150164, 1e-9);
});

test("outside China nothing is shifted", () => {
  for (const [lon, lat] of [
    [2.35, 48.85],
    [139.7, 35.7],
    [-74, 40.7],
    [151.2, -33.9],
    [0, 0],
  ] as const)
    assert.deepEqual(gcj02Of([lon, lat]), [lon, lat]);
});

test("the world is a square from the date line and 85.05 degrees north", () => {
  assert.deepEqual([worldX(-180), worldX(0), worldX(180)], [0, 0.5, 1]);
  close(worldY(85.0511287798066), 0, 1e-9);
  close(worldY(0), 0.5, 1e-12);
  close(worldY(-85.0511287798066), 1, 1e-9);
});

test("each zoom doubles the pixels, from one tile of 256", () => {
  assert.equal(pixels(0), 256);
  assert.equal(pixels(11), 2 * pixels(10));
});

const VIEW = { west: 114.21, south: 30.51, east: 114.49, north: 30.69, zoom: 10 };
const numbers = (box: string): number[] => box.split(",").map(Number);

test("what is asked for holds the whole view and a margin", () => {
  const [west, south, east, north] = numbers(boxOf(VIEW)) as [number, number, number, number];
  assert.ok(west <= VIEW.west - 0.02 && south <= VIEW.south - 0.02);
  assert.ok(east >= VIEW.east + 0.02 && north >= VIEW.north + 0.02);
});

test("a view that ends where tiles end has its margin, too", () => {
  const tile = 360 / 2 ** 10;
  const view = { west: 320 * tile, south: 86 * tile, east: 321 * tile, north: 87 * tile, zoom: 10 };
  assert.equal(boxOf(view), [319 * tile, 85 * tile, 322 * tile, 88 * tile].map((edge) => edge.toFixed(5)).join());
});

test("a small shift of the view asks for the same box, a large one for another", () => {
  const shifted = (by: number): string => boxOf({ ...VIEW, west: VIEW.west + by, east: VIEW.east + by });
  assert.equal(shifted(0.01), boxOf(VIEW));
  assert.notEqual(shifted(1), boxOf(VIEW));
});

test("the box stays on the world, and is never empty", () => {
  assert.equal(
    boxOf({ west: -400, south: -90, east: 400, north: 90, zoom: 2 }),
    "-180.00000,-85.00000,180.00000,85.00000",
  );
  const [west, south, east, north] = numbers(boxOf({ west: 190, south: 89, east: 200, north: 90, zoom: 3 })) as [
    number,
    number,
    number,
    number,
  ];
  assert.ok(west < east && south < north);
});
