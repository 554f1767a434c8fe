// What a family member watches: the share as it was last told, asked for or heard live. At its end nothing of it stays (R33).
import { type ShallowRef, computed, onScopeDispose, ref, shallowRef } from "vue";
import { family } from "@/api/calls";
import { noteAtLeast } from "@/api/clock";
import { useLive } from "@/api/live";
import { type Problem, asProblem } from "@/api/problem";
import type { Alert, LastFix, PositionEvent, PresenceEvent, ShareView } from "@/api/types";

/** Today's driving is not told live. */
const WHOLE_MS = 60_000;
const MAX_ALERTS = 20;

interface Heard {
  fix: LastFix | null;
  online: boolean | null;
  alerts: Alert[];
}
const NOTHING: Heard = { fix: null, online: null, alerts: [] };

const isNewer = (a: LastFix | null, b: LastFix | null): boolean =>
  a !== null && (b === null || Date.parse(a.time) > Date.parse(b.time));

/** A fix from before now tells when it was told of. */
const noteTime = (fix: LastFix | null): void =>
  void (fix && fix.age_s > 0 && noteAtLeast(Date.parse(fix.time) + fix.age_s * 1000));

/** Each once, as told last; but an alert that has ended does not begin again. */
export function newestFirst(alerts: Alert[]): Alert[] {
  const byId = new Map<string, Alert>();
  for (const alert of alerts) if (byId.get(alert.id)?.ongoing ?? true) byId.set(alert.id, alert);
  return [...byId.values()].sort((a, b) => Date.parse(b.started_at) - Date.parse(a.started_at));
}

export function useWatched(share: string) {
  const asked = shallowRef<ShareView | null>(null);
  const heard = shallowRef<Heard>(NOTHING);
  const ended = ref(false);
  const refused = shallowRef<Problem | null>(null);
  const askProblem = shallowRef<Problem | null>(null);
  let etag: string | null = null;

  const view = computed<ShareView | null>(() => {
    const base = asked.value;
    if (base === null) return null;
    const { fix, online, alerts } = heard.value;
    return {
      ...base,
      last_fix: isNewer(base.last_fix, fix) ? base.last_fix : (fix ?? base.last_fix),
      online: online ?? base.online,
      alerts: newestFirst([...base.alerts, ...alerts]).slice(0, MAX_ALERTS),
    };
  });

  async function ask(): Promise<void> {
    try {
      const answer = await family.share(share, etag ? { etag } : {});
      askProblem.value = null;
      if (answer === null || ended.value) return;
      etag = answer.etag;
      asked.value = answer.value;
      // What was heard while the answer was on its way is newer.
      if (!isNewer(heard.value.fix, answer.value.last_fix)) heard.value = { ...heard.value, fix: null, online: null };
    } catch (error) {
      askProblem.value = asProblem(error);
      throw askProblem.value;
    }
  }

  function hear(name: string, told: unknown): void {
    if (ended.value) return;
    const now = heard.value;
    if (name === "position" || name === "presence")
      noteTime(name === "position" ? (told as PositionEvent) : (told as PresenceEvent).last_fix);
    if (name === "position")
      heard.value = { ...now, fix: told as PositionEvent, online: (told as PositionEvent).online };
    if (name === "presence")
      heard.value = {
        ...now,
        fix: (told as PresenceEvent).last_fix ?? now.fix,
        online: (told as PresenceEvent).online,
      };
    if (name === "alert") {
      heard.value = { ...now, alerts: newestFirst([...now.alerts, told as Alert]).slice(0, MAX_ALERTS) };
      askQuietly();
    }
  }

  function end(): void {
    ended.value = true;
    asked.value = null;
    heard.value = NOTHING;
    etag = null;
  }

  const stream = useLive({
    path: () => family.livePath(share),
    onEvent: hear,
    poll: ask,
    onEnd: end,
    onRefused: refuse,
  });

  function refuse(problem: Problem): void {
    asked.value = null;
    heard.value = NOTHING;
    refused.value = problem;
  }

  /** The stream says what an end or a refusal means; a failure is tried again. */
  const askQuietly = (): void => void (!ended.value && !refused.value && stream.refresh());
  askQuietly();
  const whole = setInterval(() => stream.state.value === "live" && askQuietly(), WHOLE_MS);
  onScopeDispose(() => clearInterval(whole));

  const problem = computed(() => stream.problem.value ?? askProblem.value);
  return { view, ended, refused, problem, stream };
}

/** The alert of this id as it is known now. */
export const alertOf = (alerts: Alert[] | undefined, picked: ShallowRef<Alert | null>): Alert | null =>
  picked.value && (alerts?.find(({ id }) => id === picked.value?.id) ?? picked.value);
