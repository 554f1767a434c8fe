// Times, spans and figures as people read them: always China's clock, in the language of the page.
import { onScopeDispose } from "vue";
import { now, serviceNow, tick } from "@/api/clock";
import { hasNetwork } from "@/api/network";
import type { Problem } from "@/api/problem";
import type { Alert, LastFix, Reminder } from "@/api/types";
import { language, locale, t, tOr } from "@/i18n";

const ZONE = "Asia/Shanghai";
const formats = new Map<string, Intl.DateTimeFormat>();

function format(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale.value}/${name}`;
  let made = formats.get(key);
  if (!made)
    formats.set(key, (made = new Intl.DateTimeFormat(locale.value, { timeZone: ZONE, hourCycle: "h23", ...options })));
  return made;
}

const instant = (at: string | number): Date => new Date(at);
/** 14:05 */
export const clockTime = (at: string | number): string =>
  format("clock", { hour: "2-digit", minute: "2-digit" }).format(instant(at));
/** 11月22日 */
export const monthDay = (at: string | number): string =>
  format("day", { month: "short", day: "numeric" }).format(instant(at));
/** 11月22日 14:05, with the year where it is another one. */
export function dateTime(at: string | number): string {
  const year = format("year", { year: "numeric" });
  const isThisYear = year.format(instant(at)) === year.format(serviceNow());
  const options: Intl.DateTimeFormatOptions = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  return format(`full${isThisYear}`, isThisYear ? options : { year: "numeric", ...options }).format(instant(at));
}
/** 2027年3月1日, of a civil date. */
export const civilDay = (day: string): string =>
  format("civil", { year: "numeric", month: "short", day: "numeric" }).format(instant(`${day}T12:00:00+08:00`));

export const number = (value: number, digits = 0): string =>
  value.toLocaleString(locale.value, { minimumFractionDigits: 0, maximumFractionDigits: digits });
export const speed = (kmh: number): string => `${number(Math.round(kmh))} ${t("common.speed_unit")}`;
export const distance = (km: number): string => `${number(km, km < 100 ? 1 : 0)} km`;

/** 3 小时 5 分 */
export function span(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  const h = Math.floor(minutes / 60);
  return h > 0 ? t("common.duration_hm", { h, m: minutes % 60 }) : t("common.duration_m", { m: minutes });
}

/** 3 分钟前 */
export function ago(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 5) return t("common.just_now");
  if (s < 60) return t("common.seconds_ago", { n: s });
  if (s < 3600) return t("common.minutes_ago", { n: Math.floor(s / 60) });
  if (s < 48 * 3600) return t("common.hours_ago", { n: Math.floor(s / 3600) });
  return t("common.days_ago", { n: Math.floor(s / 86_400) });
}

const DAY_MINUTES = 24 * 60;
/** From so many days on, hours tell nobody anything. */
const MANY_DAYS = 10;

/** How long until then, what has begun counting whole: 3 天, 2 天 23 小时, 3 小时 5 分. */
export function remaining(until: string, now: number): string {
  const minutes = Math.ceil(Math.max(0, Date.parse(until) - now) / 60_000);
  if (minutes < DAY_MINUTES) return span(minutes * 60);
  const hours = Math.ceil(minutes / 60);
  if (hours > MANY_DAYS * 24) return t("common.days", { n: Math.ceil(hours / 24) });
  const [d, h] = [Math.floor(hours / 24), hours % 24];
  return h ? t("common.days_hours", { d, h }) : t("common.days", { n: d });
}

const HEADINGS = ["n", "ne", "e", "se", "s", "sw", "w", "nw"] as const;
export const heading = (courseDeg: number): string =>
  t(`common.heading_${HEADINGS[Math.round((((courseDeg % 360) + 360) % 360) / 45) % 8]!}`);

/** What an alert is called. The service's own title is Chinese. */
export function alertTitle(alert: Alert): string {
  if (language.value === "zh" && alert.title) return alert.title;
  const what = tOr(`common.kind_${alert.kind}`, t("common.kind_other"));
  return alert.source === "platform" ? t("common.suspected", { what }) : what.charAt(0).toUpperCase() + what.slice(1);
}

/** Red for what endangers life now, amber for the rest. */
export const isGrave = (alert: Alert): boolean =>
  ["emergency", "collision", "rollover", "fatigue"].includes(alert.kind);

/** What somebody has to act on at once. */
export const isUrgent = (alert: Alert): boolean => ["emergency", "collision", "rollover"].includes(alert.kind);

export function certificateState(reminder: Pick<Reminder, "state" | "days_left">): string {
  if (reminder.state === "valid") return t("common.state_valid");
  if (reminder.state === "expired") return t("common.state_expired", { n: Math.max(1, -reminder.days_left) });
  return reminder.days_left <= 0
    ? t("common.state_expires_today")
    : t("common.state_expiring", { n: reminder.days_left });
}

/** A sentence for the person. */
export function problemText(problem: Problem): string {
  if (problem.code === "network") return t("common.problem_network");
  if (problem.code === "unreadable") return t("common.problem_unreadable");
  if (problem.code === "foreign") return t("common.problem_foreign");
  if (problem.detail && language.value === "zh") return problem.detail;
  const known = tOr(`common.code_${problem.code}`, "");
  if (known) return known;
  if (problem.status === 429) return t("common.problem_busy", { seconds: problem.retryAfterS ?? 60 });
  return problem.detail || (problem.status >= 500 ? t("common.problem_down") : t("common.problem_other"));
}

/** Why what is shown may be old. `problem`: of the last attempt to ask. */
export function staleText(problem: Problem | null): string {
  if (!hasNetwork.value) return t("common.stale_no_network");
  if (problem?.code === "foreign") return t("common.problem_foreign");
  return t(problem?.code === "network" ? "common.stale_network" : "common.stale");
}

// -- now --------------------------------------------------------------------------------------------------------------

let watchers = 0;
let ticking: ReturnType<typeof setInterval> | undefined;

/** Unix milliseconds of the service's clock, ticking every second as long as somebody looks. */
export function useNow(): typeof now {
  tick();
  if (watchers++ === 0) ticking = setInterval(tick, 1000);
  onScopeDispose(() => {
    if (--watchers === 0) clearInterval(ticking);
  });
  return now;
}

export type Aged = Pick<LastFix, "time"> & Partial<Pick<LastFix, "age_s">>;

/** Seconds; `at` is of the service's clock, in Unix milliseconds. */
export const ageOf = (fix: Aged, at: number): number => Math.max(fix.age_s ?? 0, (at - Date.parse(fix.time)) / 1000);

/** A vehicle without a current fix for so long is offline (R32). */
const OFFLINE_S = 600;

/** Whether the vehicle is online now, as far as this page knows: what it was told last holds for ten minutes of the fix, and no longer. */
export const isOnline = (told: boolean | null, fix: Aged | null, at: number): boolean | null =>
  told && fix !== null ? ageOf(fix, at) < OFFLINE_S : told;
