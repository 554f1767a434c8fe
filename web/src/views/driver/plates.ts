// Number plates as people type them (GA 36): what may follow, and whether it can be one.
import type { PlateColor } from "@/api/types";

export const PROVINCES = [..."京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"];
export const LETTERS = [..."ABCDEFGHJKLMNPQRSTUVWXYZ"];
export const DIGITS = [..."1234567890"];
/** The last place of trailers, learners, police, Hong Kong, Macao and consulates. */
export const LAST_SIGNS = [..."挂学警港澳领"];
export const ORDINARY_PLACES = 7;
export const ENERGY_PLACES = 8;
/** The most common on trucks first. */
export const COLORS: readonly PlateColor[] = ["yellow", "blue", "yellow_green", "gradient_green", "green", "black", "white", "farm_yellow", "farm_green", "other"];

const PLATE = /^[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-Z](?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳领]|[A-HJK][A-HJ-NP-Z0-9]\d{4}|\d{5}[A-HJK])$/;

export const isPlate = (plate: string): boolean => PLATE.test(plate);

/** Whether this character may stand at the next place. */
export function mayFollow(plate: string, char: string): boolean {
  if (plate.length === 0) return PROVINCES.includes(char);
  if (plate.length >= ENERGY_PLACES || LAST_SIGNS.includes(plate.at(-1)!)) return false;
  if (plate.length === 1) return LETTERS.includes(char) || char === "O";
  if (LAST_SIGNS.includes(char)) return plate.length === ORDINARY_PLACES - 1;
  return LETTERS.includes(char) || DIGITS.includes(char);
}

/** What was pasted or typed as a whole, as far as it can be a plate. */
export function cleanPlate(text: string): string {
  let plate = "";
  for (const char of text.normalize("NFKC").toUpperCase()) if (mayFollow(plate, char)) plate += char;
  return plate;
}
