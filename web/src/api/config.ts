// What the service says of itself, asked once.
import { shallowRef } from "vue";
import { webConfig } from "./calls";
import type { WebConfig } from "./types";

const RETRY_MS = 5_000;

/** Null until it is known. */
export const config = shallowRef<WebConfig | null>(null);

export async function loadConfig(): Promise<void> {
  try {
    config.value = await webConfig();
  } catch {
    setTimeout(() => void loadConfig(), RETRY_MS);
  }
}
