// Longitude and latitude as the places on a map of one unit (EPSG:3857); times 256 · 2^zoom, they are pixels.

export const worldX = (lon: number): number => (lon + 180) / 360;
export const worldY = (lat: number): number =>
  0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);
export const pixels = (zoom: number): number => 256 * 2 ** zoom;
