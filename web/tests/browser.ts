// What the modules under test take from a browser: a document, a network, a store of the tab.

const kept = new Map<string, string>();
const storage = {
  getItem: (key: string): string | null => kept.get(key) ?? null,
  setItem: (key: string, value: string): void => void kept.set(key, value),
  removeItem: (key: string): void => void kept.delete(key),
};
const define = (name: string, value: unknown): void =>
  void Object.defineProperty(globalThis, name, { value, configurable: true });

define("window", { localStorage: storage, sessionStorage: storage, addEventListener: () => undefined });
define("document", { documentElement: {}, createElement: () => ({}) });
define("navigator", { onLine: true });

/** What the tab keeps under this key. */
export const keptInTab = (key: string): string | null => storage.getItem(key);
