// Back closes what lies over the page instead of leaving the page: the key, the gesture and the arrow of a chat program's web
// view alike. Whatever lies over the page has a history entry of its own while it is open, at the same address.
import { onScopeDispose, watch } from "vue";

interface Layer {
  close: () => void;
  id: number;
}

const layers: Layer[] = [];
/** Different from those that an earlier visit of the page has left in the history. */
let lastId = Date.now();
/** Going back by ourselves takes a moment. */
let returned: (() => void) | null = null;
let settled: Promise<void> = Promise.resolve();

const markOf = (state: unknown): number => (state as { layer?: number } | null)?.layer ?? 0;
const mark = (layer: Layer): void =>
  window.history.pushState({ ...(window.history.state as object | null), layer: layer.id }, "");

/** A web view that loses the event must not hold up the page for ever. */
const PATIENCE_MS = 1_000;

function goBack(): Promise<void> {
  return new Promise((done) => {
    const arrives = (): void => {
      if (returned === arrives) returned = null;
      done();
    };
    returned = arrives;
    window.history.back();
    setTimeout(arrives, PATIENCE_MS);
  });
}

// This module is loaded before the router, which must not hear of entries that are not its own.
window.addEventListener("popstate", (event) => {
  const top = layers[layers.length - 1];
  if (returned) {
    event.stopImmediatePropagation();
    returned();
  } else if (top && markOf(event.state) !== top.id) {
    event.stopImmediatePropagation();
    mark(top); // It may ask before it closes, and stay.
    top.close();
  }
});
// A page that is loaded again has nothing open.
if (markOf(window.history.state)) settled = goBack();

/** One after the other: no entry is made or left while the browser is still on its way back. */
const next = (act: () => void | Promise<void>): Promise<void> => (settled = settled.then(act));

/** Gives what has opened its entry. To be called when it has closed; settled when the history is as it was. */
function opens(close: () => void): () => Promise<void> {
  const layer = { close, id: ++lastId };
  let isOver = false;
  void next(() => {
    if (isOver) return;
    layers.push(layer);
    mark(layer);
  });
  return () => {
    isOver = true;
    return next(() => leave(layer));
  };
}

async function leave(layer: Layer): Promise<void> {
  const at = layers.indexOf(layer);
  if (at < 0) return;
  layers.splice(at, 1);
  await goBack();
}

/** Before the page goes elsewhere: whatever is still open stays behind with it, and its entry does not. */
export const leavesAll = (): Promise<void> =>
  next(async () => {
    while (layers.length) await leave(layers[layers.length - 1]!);
  });

/** While `isOpen`, Back calls `close`, which may ask first. */
export function useBackCloses(isOpen: () => boolean, close: () => unknown): void {
  let closed: (() => Promise<void>) | null = null;
  const ends = (): void => {
    void closed?.();
    closed = null;
  };
  watch(
    isOpen,
    (open) => {
      if (!open) ends();
      else closed ??= opens(() => void close());
    },
    { immediate: true },
  );
  onScopeDispose(ends);
}

/** The same for what is open as long as `answer` is awaited; `close` lets it be settled. */
export async function backCloses<T>(answer: Promise<T>, close: () => void): Promise<T> {
  const closed = opens(close);
  try {
    return await answer;
  } finally {
    await closed();
  }
}
