// Something that is asked for again and again: `ETag`s, rests while nobody looks, waits when the service asks to.
import { type Ref, type ShallowRef, onScopeDispose, ref, shallowRef } from "vue";
import { type Answer, getIfChanged } from "./http";
import { type Problem, asProblem } from "./problem";

export interface Polled<T> {
  value: ShallowRef<T | null>;
  problem: ShallowRef<Problem | null>;
  /** True until the first answer, and while somebody pulls to refresh. */
  loading: Ref<boolean>;
  refresh: () => Promise<void>;
  stop: () => void;
}

export interface PollOptions {
  /** 0 asks once only. */
  everyMs?: number;
  headers?: () => Record<string, string>;
}

/** Keeps the last good value while later attempts fail. `path` may answer null: then nothing is asked. */
export function usePolled<T>(path: () => string | null, options: PollOptions = {}): Polled<T> {
  const value = shallowRef<T | null>(null);
  const problem = shallowRef<Problem | null>(null);
  const loading = ref(true);
  const everyMs = options.everyMs ?? 30_000;
  let etag: string | null = null;
  let asked = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let under: AbortController | null = null;
  let stopped = false;

  function take(answer: Answer<T> | null): void {
    if (answer !== null) {
      value.value = answer.value;
      etag = answer.etag;
    }
    problem.value = null;
  }

  async function refresh(): Promise<void> {
    clearTimeout(timer);
    under?.abort();
    const target = path();
    if (stopped || target === null) return;
    if (target !== asked) etag = null;
    asked = target;
    loading.value = true;
    const mine = (under = new AbortController());
    let waitMs = everyMs;
    try {
      take(await getIfChanged<T>(target, { etag: etag ?? undefined, signal: mine.signal, headers: options.headers?.() ?? {} }));
    } catch (error) {
      if (mine.signal.aborted) return;
      problem.value = asProblem(error);
      waitMs = Math.max(waitMs, (problem.value.retryAfterS ?? 0) * 1000);
      if (!problem.value.isPassing) waitMs = 0;
    }
    if (mine.signal.aborted) return;
    loading.value = false;
    if (waitMs > 0 && !document.hidden && !stopped) timer = setTimeout(() => void refresh(), waitMs);
  }

  function onVisibility(): void {
    if (document.hidden) clearTimeout(timer);
    else if (everyMs > 0) void refresh();
  }
  const onOnline = (): void => void (everyMs > 0 && refresh());

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    under?.abort();
    document.removeEventListener("visibilitychange", onVisibility);
    window.removeEventListener("online", onOnline);
  }

  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("online", onOnline);
  onScopeDispose(stop);
  void refresh();
  return { value, problem, loading, refresh, stop };
}

export interface Listed<T> {
  items: ShallowRef<T[]>;
  problem: ShallowRef<Problem | null>;
  loading: Ref<boolean>;
  finished: Ref<boolean>;
  /** The next page; does nothing while one is under way. */
  more: () => Promise<void>;
  restart: () => Promise<void>;
}

/** A list that comes in pages (`{items, next}`), for scrolling on. */
export function useListed<T>(fetchPage: (cursor: string | null) => Promise<{ items: T[]; next: string | null }>): Listed<T> {
  const items = shallowRef<T[]>([]);
  const problem = shallowRef<Problem | null>(null);
  const loading = ref(false);
  const finished = ref(false);
  let cursor: string | null = null;
  let round = 0;

  async function more(): Promise<void> {
    if (loading.value || finished.value) return;
    const mine = round;
    loading.value = true;
    try {
      const page = await fetchPage(cursor);
      if (mine !== round) return;
      items.value = [...items.value, ...page.items];
      cursor = page.next;
      finished.value = page.next === null;
      problem.value = null;
    } catch (error) {
      if (mine === round) problem.value = asProblem(error);
    } finally {
      if (mine === round) loading.value = false;
    }
  }

  async function restart(): Promise<void> {
    round += 1;
    cursor = null;
    items.value = [];
    loading.value = finished.value = false;
    await more();
  }

  return { items, problem, loading, finished, more, restart };
}
