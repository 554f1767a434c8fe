// Which emergencies this phone's person has seen the end of. Kept over reloads, and shared by its tabs.
import { shallowRef } from "vue";
import { recall, remember } from "@/api/storage";

const KEY = "shouwang.seen-alerts";
const MOST = 100;

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(recall(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((id): id is string => typeof id === "string") : [];
  } catch {
    return [];
  }
}

const seen = shallowRef(read());
window.addEventListener("storage", (event) => event.key === KEY && (seen.value = read()));

export const isSeen = (id: string): boolean => seen.value.includes(id);

export function noteSeen(ids: readonly string[]): void {
  seen.value = [...seen.value.filter((id) => !ids.includes(id)), ...ids].slice(-MOST);
  remember(KEY, JSON.stringify(seen.value));
}
