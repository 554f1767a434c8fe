// The service's time. A phone's clock may be wrong by years, so nothing on a page is reckoned from it: each answer says what
// time it is (`Date`), and the phone only counts on from there.
import { ref } from "vue";

/** `Date` has whole seconds. */
const DATE_MS = 1000;
/** More than this between the phone's two clocks, and one of them stood still or was set. */
const LEAP_MS = 2000;

let passed = Date.now();
let lastSteady = performance.now();
let lastWall = Date.now();
/** How far the service's clock is ahead of `running`. */
let aheadMs = 0;

/** Unix milliseconds of the service, ticking where somebody looks (`useNow`). */
export const now = ref(passed);

/** Milliseconds that only ever grow. `performance.now()` stands still while some phones sleep; then the wall clock has gone on. */
export function running(): number {
  const [steady, wall] = [performance.now(), Date.now()];
  const [steadyMs, wallMs] = [steady - lastSteady, wall - lastWall];
  [lastSteady, lastWall] = [steady, wall];
  passed += wallMs > steadyMs + LEAP_MS ? wallMs : Math.max(0, steadyMs);
  return passed;
}

/** Unix milliseconds, by the service's clock; by the phone's until the first answer. */
export const serviceNow = (): number => running() + aheadMs;

/** What the service's clock said at a moment of `running`. */
export const serviceTimeOf = (moment: number): number => moment + aheadMs;

export const tick = (): void => void (now.value = serviceNow());

function shift(byMs: number): void {
  aheadMs += byMs;
  tick();
}

/** Takes the time from an answer to a call that was made at `sentAt` (of `running`). */
export function noteDate(date: string | null, sentAt: number): void {
  const told = Date.parse(date ?? "");
  if (Number.isNaN(told)) return;
  const latest = told + DATE_MS + Math.max(0, running() - sentAt);
  const at = serviceNow();
  if (at < told) shift(told - at);
  else if (at > latest) shift(latest - at);
}

/** What was heard live has no `Date`, but it tells a moment that has passed. */
export function noteAtLeast(moment: number): void {
  const at = serviceNow();
  if (moment > at) shift(moment - at);
}
