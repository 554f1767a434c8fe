// Number plates as people type them (GA 36; NY 345 for farm machines, whose place is two digits): what may follow, and whether
// it can be one.
import { plain } from "@/identifiers";
import type { PlateColor } from "@/api/types";

export const PROVINCES = [..."京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"];
export const LETTERS = [..."ABCDEFGHJKLMNPQRSTUVWXYZ"];
export const DIGITS = [..."1234567890"];
/** The last place of trailers, learners, police, Hong Kong, Macao and consulates. */
export const LAST_SIGNS = [..."挂学警港澳领"];
export const ORDINARY_PLACES = 7;
/** New-energy plates and those of farm machines. */
export const MOST_PLACES = 8;
/** The most common on trucks first. */
export const COLORS: readonly PlateColor[] = [
  "yellow",
  "blue",
  "yellow_green",
  "gradient_green",
  "green",
  "black",
  "white",
  "farm_yellow",
  "farm_green",
  "other",
];

const PLATE =
  /^[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼](?:[A-HJ-Z](?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳领]|[A-HJK][A-HJ-NP-Z0-9]\d{4}|\d{5}[A-HJK])|\d{2}[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学])$/;

export const isPlate = (plate: string): boolean => PLATE.test(plate);

export const isFarm = (plate: string): boolean => /^.\d/.test(plate);
/** How many characters name the place, before the dot. */
export const headOf = (plate: string): number => (isFarm(plate) ? 3 : 2);
/** The signs that may come next, at the last place only. */
export const signsAfter = (plate: string): string[] => {
  if (isFarm(plate)) return plate.length === MOST_PLACES - 1 ? LAST_SIGNS.slice(0, 2) : [];
  return plate.length === ORDINARY_PLACES - 1 ? LAST_SIGNS : [];
};

/** Whether this character may stand at the next place. */
export function mayFollow(plate: string, char: string): boolean {
  if (plate.length === 0) return PROVINCES.includes(char);
  if (plate.length >= MOST_PLACES || LAST_SIGNS.includes(plate.charAt(plate.length - 1))) return false;
  if (plate.length === 1) return LETTERS.includes(char) || DIGITS.includes(char) || char === "O";
  if (LAST_SIGNS.includes(char)) return signsAfter(plate).includes(char);
  if (plate.length === 2 && isFarm(plate)) return DIGITS.includes(char);
  return LETTERS.includes(char) || DIGITS.includes(char);
}

/** The letters I and O stand on no plate behind its place: whoever typed one saw a digit. */
const LIKELY: Record<string, string> = { I: "1", O: "0" };
const meant = (plate: string, char: string): string => (plate.length > 1 ? (LIKELY[char] ?? char) : char);

/** What was pasted or typed as a whole, as far as it can be a plate. */
export function cleanPlate(text: string): string {
  let plate = "";
  for (const typed of plain(text).toUpperCase()) {
    const char = meant(plate, typed);
    if (mayFollow(plate, char)) plate += char;
  }
  return plate;
}
