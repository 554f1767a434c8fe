// Light, dark, or as the phone has it; and whether anything may move.
import { computed, ref, watchEffect } from "vue";
import { recall, remember } from "@/api/storage";

export type Theme = "auto" | "light" | "dark";

const KEY = "shouwang.theme";
const stored = recall(KEY);
export const theme = ref<Theme>(stored === "light" || stored === "dark" ? stored : "auto");

const darkQuery = window.matchMedia("(prefers-color-scheme: dark)");
const systemDark = ref(darkQuery.matches);
darkQuery.addEventListener("change", (event) => (systemDark.value = event.matches));

const stillQuery = window.matchMedia("(prefers-reduced-motion: reduce)");
/** True where things must not move by themselves. */
export const reducedMotion = ref(false);
/** Nor do they in a browser that can animate nothing by script. */
const noteMotion = (): void =>
  void (reducedMotion.value = stillQuery.matches || typeof Element.prototype.animate !== "function");
noteMotion();
stillQuery.addEventListener("change", noteMotion);

export const isDark = computed(() => theme.value === "dark" || (theme.value === "auto" && systemDark.value));

watchEffect(() => {
  if (theme.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

export function chooseTheme(next: Theme): void {
  theme.value = next;
  remember(KEY, next === "auto" ? null : next);
}
