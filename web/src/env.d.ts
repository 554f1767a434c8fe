/// <reference types="vite/client" />

declare module "virtual:geography" {
  /** Name, longitude, latitude (WGS-84), rank: 0 first of its province, 1 a junction, 2 another. */
  export const cities: [string, number, number, 0 | 1 | 2][];
  /** Number, then the places of cities in `cities`, or way-points. */
  export const corridors: [string, (number | [number, number])[]][];
}
