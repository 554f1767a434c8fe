// Something that is asked for again and again: `ETag`s, rests while nobody looks, waits when the service asks to. What failed in
// passing is asked for again by itself, whether it is polled or not.
import { type Ref, type ShallowRef, onScopeDispose, ref, shallowRef, watch } from "vue";
import { type Answer, getIfChanged } from "./http";
import { whenBack } from "./network";
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

const RETRY_MS = 10_000;

/** Calls `act` again while `problem` is one that passes: now and then, and at once when the network or the person is back. */
export function useRetry(problem: Readonly<ShallowRef<Problem | null>>, act: () => unknown): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const again = (): void => {
    clearTimeout(timer);
    if (problem.value?.isPassing && !document.hidden) void act();
  };
  watch(
    problem,
    (now) => {
      clearTimeout(timer);
      if (now?.isPassing) timer = setTimeout(again, Math.max(RETRY_MS, (now.retryAfterS ?? 0) * 1000));
    },
    { immediate: true },
  );
  whenBack(again);
  onScopeDispose(() => clearTimeout(timer));
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
      take(
        await getIfChanged<T>(target, {
          etag: etag ?? undefined,
          signal: mine.signal,
          headers: options.headers?.() ?? {},
        }),
      );
    } catch (error) {
      if (mine.signal.aborted) return;
      problem.value = asProblem(error);
      waitMs = problem.value.isPassing ? Math.max(waitMs || RETRY_MS, (problem.value.retryAfterS ?? 0) * 1000) : 0;
    }
    if (mine.signal.aborted) return;
    loading.value = false;
    if (waitMs > 0 && !document.hidden && !stopped) timer = setTimeout(() => void refresh(), waitMs);
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    under?.abort();
  }

  whenBack(() => void ((everyMs > 0 || problem.value) && refresh()));
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

export interface ListOptions {
  /** Asks for the first page again so often, while somebody looks: for what changes by itself. 0: never. */
  renewMs?: number;
}

/** A list that comes in pages (`{items, next}`), for scrolling on. */
export function useListed<T extends { id: string }>(
  fetchPage: (cursor: string | null) => Promise<{ items: T[]; next: string | null }>,
  options: ListOptions = {},
): Listed<T> {
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

  /** What was scrolled to stays; the first page is as it is now. */
  async function renew(): Promise<void> {
    if (loading.value || document.hidden || !items.value.length) return;
    const mine = round;
    try {
      const page = await fetchPage(null);
      if (mine !== round) return;
      const known = new Set(page.items.map(({ id }) => id));
      items.value = [...page.items, ...items.value.filter(({ id }) => !known.has(id))];
      problem.value = null;
    } catch (error) {
      if (mine === round) problem.value = asProblem(error);
    }
  }

  if (options.renewMs) {
    const renewing = setInterval(() => void renew(), options.renewMs);
    whenBack(() => void renew());
    onScopeDispose(() => clearInterval(renewing));
  }
  useRetry(problem, () => (options.renewMs && items.value.length ? renew() : more()));
  return { items, problem, loading, finished, more, restart };
}
