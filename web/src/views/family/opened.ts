// What an opened delegation is about. Who is not registered cannot ask for it again, so the tab keeps it over a reload.
import { recall, remember } from "@/api/storage";
import type { OpenedDelegation } from "@/api/types";

const KEY = "shouwang.delegation";

export const noteOpened = (delegation: OpenedDelegation): void => remember(KEY, JSON.stringify(delegation), "session");
export const forgetOpened = (): void => remember(KEY, null, "session");

export function openedDelegation(id: string): OpenedDelegation | null {
  try {
    const kept = JSON.parse(recall(KEY, "session") ?? "null") as OpenedDelegation | null;
    return kept?.id === id ? kept : null;
  } catch {
    return null;
  }
}
