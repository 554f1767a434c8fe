// What the browser keeps for us. Private windows may forbid it: then nothing is kept, and all else works.

export function recall(key: string, area: "local" | "session" = "local"): string | null {
  try {
    return storage(area).getItem(key);
  } catch {
    return null;
  }
}

/** `null` forgets. */
export function remember(key: string, value: string | null, area: "local" | "session" = "local"): void {
  try {
    if (value === null) storage(area).removeItem(key);
    else storage(area).setItem(key, value);
  } catch {
    // Nothing is kept.
  }
}

function storage(area: "local" | "session"): Storage {
  return area === "local" ? window.localStorage : window.sessionStorage;
}
