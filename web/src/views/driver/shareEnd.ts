// Until when would a share live that is made now (R17)? The service decides; this is what the sheet tells beforehand.
import type { ShareDuration } from "@/api/types";

export const DURATIONS: readonly ShareDuration[] = ["3d", "7d", "1mo", "1y"];

const DAY_MS = 86_400_000;
/** China's clock, all year. */
const CHINA_MS = 8 * 3_600_000;
const MONTHS: Partial<Record<ShareDuration, number>> = { "1mo": 1, "1y": 12 };
const DAYS: Partial<Record<ShareDuration, number>> = { "3d": 3, "7d": 7 };

/** Unix milliseconds. A month and a year are calendar ones, clamped to the month's last day. */
export function shareEnd(duration: ShareDuration, from: number): number {
  const months = MONTHS[duration];
  if (months === undefined) return from + (DAYS[duration] ?? 0) * DAY_MS;
  const local = new Date(from + CHINA_MS);
  const [year, month, day] = [local.getUTCFullYear(), local.getUTCMonth() + months, local.getUTCDate()];
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return Date.UTC(year, month, Math.min(day, lastDay)) + ((from + CHINA_MS) % DAY_MS) - CHINA_MS;
}
