// Ten minutes of figures, kept in memory: what the control room's charts draw.
import { computed, ref, shallowRef } from "vue";
import { running } from "@/api/clock";
import type { Health } from "@/api/types";

export const WINDOW_S = 600;
const MAX_SAMPLES = 600;
const ALERTS_OVER_S = 60;

export interface Sample {
  /** Seconds of `running`, so that a service's clock that is moved moves no sample. */
  at: number;
  fixesPerS: number;
  appendMs: number;
  lagMs: number;
  online: number;
  offline: number;
  alertsBegun: number;
  alertsPerMin: number;
  storeP99Ms: number;
  storeLastMs: number;
  loopMs: number;
  loopWorstMs: number;
}
export type Series = Exclude<keyof Sample, "at" | "alertsBegun">;

export function useWindow() {
  const health = shallowRef<Health | null>(null);
  const samples = shallowRef<Sample[]>([]);
  /** When a picture came last, and when the service was seen to have started anew; milliseconds of `running`. */
  const seenAt = ref(running());
  const restartedAt = ref(0);

  function take(next: Health): void {
    const at = running();
    const last = health.value;
    // Counters begin anew with the service.
    const isNewStart = last !== null && next.uptime_s < last.uptime_s;
    if (isNewStart) restartedAt.value = at;
    health.value = next;
    seenAt.value = at;
    const before = samples.value.filter((sample) => sample.at > at / 1000 - WINDOW_S).slice(-MAX_SAMPLES + 1);
    samples.value = [...before, sampleOf(next, at / 1000, before)];
  }

  return {
    health,
    samples,
    seenAt,
    restartedAt,
    take,
    latest: computed(() => samples.value[samples.value.length - 1] ?? null),
  };
}

function sampleOf(health: Health, at: number, before: readonly Sample[]): Sample {
  const { store, event_loop: loop, data_quality: quality } = health;
  return {
    at,
    fixesPerS: health.telemetry.fixes_per_s_10s,
    appendMs: store.append_s * 1000,
    lagMs: health.ingest_lag_s * 1000,
    online: health.online,
    offline: health.offline,
    alertsBegun: quality.alerts_begun,
    alertsPerMin: perMinute(quality.alerts_begun, at, before),
    storeP99Ms: store.p99_commit_s * 1000,
    storeLastMs: store.last_commit_s * 1000,
    loopMs: loop.lag_s * 1000,
    loopWorstMs: loop.worst_lag_60s_s * 1000,
  };
}

/** Of the last minute, or since the first sample when that is less; a counter that fell has begun anew. */
function perMinute(begun: number, at: number, before: readonly Sample[]): number {
  let first: Sample | null = null;
  for (let index = before.length - 1; index >= 0; index -= 1) {
    const sample = before[index]!;
    if (sample.at < at - ALERTS_OVER_S || sample.alertsBegun > begun) break;
    first = sample;
  }
  const seconds = first ? Math.max(10, at - first.at) : 0;
  return first ? ((begun - first.alertsBegun) / seconds) * 60 : 0;
}
