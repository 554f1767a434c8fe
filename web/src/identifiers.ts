// Numbers that people type or paste: are they well formed? The service has the last word.

/** Half width, without blanks and the marks that copied text brings along unseen. */
export const plain = (text: string): string =>
  text
    .normalize("NFKC")
    .replace(/[\s\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]/g, "");

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS = "10X98765432";

/** GB 11643: 17 digits with a real date, and the check character. */
export function isCitizenId(text: string): boolean {
  if (!/^\d{17}[\dXx]$/.test(text)) return false;
  const [year, month, day] = [Number(text.slice(6, 10)), Number(text.slice(10, 12)), Number(text.slice(12, 14))];
  const date = new Date(Date.UTC(year, month - 1, day));
  if (year < 1900 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return false;
  const sum = WEIGHTS.reduce((total, weight, at) => total + weight * Number(text[at]), 0);
  return CHECKS[sum % 11] === text[17]!.toUpperCase();
}

/** As far as it can be a mobile phone: from an address book it comes with +86, hyphens and brackets. */
export const cleanPhone = (text: string): string =>
  plain(text)
    .replace(/\D/g, "")
    .replace(/^(?:00)?86(?=1\d{10})/, "")
    .slice(0, 11);
export const isMobilePhone = (text: string): boolean => /^1[3-9]\d{9}$/.test(text);

const VIN_VALUES = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ";
const VIN_WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/** Seventeen of the VIN's characters (no I, O, Q). */
export const isVinShaped = (text: string): boolean => /^[A-HJ-NPR-Z0-9]{17}$/.test(text);

/** GB 16735: the ninth character checks the rest. Some imported vehicles do without, so a miss is a hint only. */
export function isVinChecked(text: string): boolean {
  if (!isVinShaped(text)) return false;
  const sum = VIN_WEIGHTS.reduce((total, weight, at) => total + weight * (VIN_VALUES.indexOf(text[at]!) % 10), 0);
  return "0123456789X"[sum % 11] === text[8];
}
