// Chinese first, English by choice. Each page has its own file in `zh/` and `en/`; `t("family.title")` is checked by the
// compiler, and so is that no English text is missing.
import { computed, ref, shallowRef, watch } from "vue";
import { recall, remember } from "@/api/storage";
import zh from "./zh";

export type Language = "zh" | "en";
type Dictionary = typeof zh;
/** What another language must have. */
export type Translation = { [Page in keyof Dictionary]: { [Key in keyof Dictionary[Page]]: string } };
export type MessageKey = { [Page in keyof Dictionary]: `${Page}.${keyof Dictionary[Page] & string}` }[keyof Dictionary];

const KEY = "shouwang.language";
export const language = ref<Language>(recall(KEY) === "en" ? "en" : "zh");
const dictionary = shallowRef<Translation>(zh);
export const locale = computed(() => (language.value === "zh" ? "zh-CN" : "en-GB"));

/** The text of this key, `{name}` filled in from `facts`. */
export function t(key: MessageKey, facts: Record<string, string | number> = {}): string {
  const [page, name] = key.split(".") as [keyof Translation, string];
  const text = (dictionary.value[page] as Record<string, string>)[name] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, fact: string) => String(facts[fact] ?? whole));
}

/** A key that is made up at run time, such as `common.kind_speeding`; `otherwise` where there is no such text. */
export function tOr(key: string, otherwise: string): string {
  const [page, name] = key.split(".") as [keyof Translation, string];
  return (dictionary.value[page] as Record<string, string> | undefined)?.[name] ?? otherwise;
}

export async function chooseLanguage(next: Language): Promise<void> {
  language.value = next;
  remember(KEY, next === "zh" ? null : next);
  await loadLanguage();
}

export async function loadLanguage(): Promise<void> {
  dictionary.value = language.value === "en" ? (await import("./en")).default : zh;
}

watch(language, (now) => (document.documentElement.lang = now === "zh" ? "zh-CN" : "en"), { immediate: true });
