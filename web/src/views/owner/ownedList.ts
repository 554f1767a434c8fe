// A list of up to tens of thousands of own vehicles, page by page; the pages in sight are asked for again now and then.
import { type Ref, computed, onScopeDispose, ref, shallowRef } from "vue";
import { owner } from "@/api/calls";
import { whenBack } from "@/api/network";
import { useRetry } from "@/api/polled";
import { type Problem, asProblem } from "@/api/problem";
import type { OwnedVehicle, Page } from "@/api/types";

export type ListName = "bound" | "all" | "expiring";
interface Loaded {
  cursor: string | null;
  items: OwnedVehicle[];
}
interface Kept {
  key: string;
  pages: Loaded[];
  cursor: string | null;
  finished: boolean;
  scrollY: number;
}

const PAGE = 50;
/** Where only some are kept of many, greater pages spare questions. */
const SIFTED_PAGE = 200;
const RENEW_MS = 20_000;

/** The list as it was left, for whoever comes back from a vehicle's page. */
let kept: Kept | null = null;
/** After an unbinding nothing of it may be right. */
export const forgetList = (): void => void (kept = null);

export function useOwnedList(list: Ref<ListName>, plate: Ref<string>, seen: () => readonly [number, number]) {
  const pages = shallowRef<Loaded[]>([]);
  const problem = shallowRef<Problem | null>(null);
  /** Why the vehicles in sight could not be asked for again. */
  const stale = shallowRef<Problem | null>(null);
  const loading = ref(false);
  const finished = ref(false);
  const items = computed(() => pages.value.flatMap((page) => page.items));
  let cursor: string | null = null;
  let round = 0;

  const key = (): string => `${list.value}/${plate.value}`;
  const limit = (): number => (list.value === "all" && !plate.value ? PAGE : SIFTED_PAGE);
  const ask = (at: string | null): Promise<Page<OwnedVehicle>> =>
    owner.vehicles(list.value, { q: plate.value, cursor: at, limit: limit() });

  async function more(): Promise<void> {
    if (loading.value || finished.value) return;
    const mine = round;
    loading.value = true;
    try {
      const page = await ask(cursor);
      if (mine !== round) return;
      if (page.items.length) pages.value = [...pages.value, { cursor, items: page.items }];
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
    pages.value = [];
    loading.value = finished.value = false;
    problem.value = null;
    await more();
  }

  /** The pages in sight, with where their vehicles are now. */
  async function renew(): Promise<void> {
    const mine = round;
    const [from, to] = seen();
    let first = 0;
    for (const page of pages.value) {
      const last = first + page.items.length;
      if (first < to && last > from) await renewPage(page, mine);
      if (mine !== round) return;
      first = last;
    }
  }

  async function renewPage(page: Loaded, mine: number): Promise<void> {
    try {
      const { items: now } = await ask(page.cursor);
      const known = new Map(now.map((item) => [item.id, item]));
      const renewed = { ...page, items: page.items.map((item) => known.get(item.id) ?? item) };
      if (mine === round) pages.value = pages.value.map((each) => (each === page ? renewed : each));
      stale.value = null;
    } catch (error) {
      if (mine === round) stale.value = asProblem(error); // What stands there stays.
    }
  }

  /** Returns how far it was scrolled. */
  function takeUp(): number {
    if (kept?.key !== key()) {
      void restart();
      return 0;
    }
    ({ pages: pages.value, cursor, finished: finished.value } = kept);
    return kept.scrollY;
  }
  const leave = (scrollY: number): void =>
    void (kept = { key: key(), pages: pages.value, cursor, finished: finished.value, scrollY });

  useRetry(problem, more);
  whenBack(() => void renew());
  const renewing = setInterval(() => void (document.hidden || renew()), RENEW_MS);
  onScopeDispose(() => clearInterval(renewing));
  return { items, problem, stale, loading, finished, more, restart, renew, takeUp, leave };
}
