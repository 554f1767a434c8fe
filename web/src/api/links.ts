// The secret of a link: it comes in the fragment, which no server sees, and leaves the address bar at once. It outlives the
// way through sign-in and a reload of the tab (sessionStorage), and is forgotten as soon as it was redeemed.
import { reactive } from "vue";
import { recall, remember } from "./storage";

export type LinkKind = "share" | "delegation";
const PATHS: Record<string, LinkKind> = { "/s": "share", "/d": "delegation" };
const key = (kind: LinkKind): string => `shouwang.link.${kind}`;

/** The tokens at hand; "" where there is none. */
export const linkTokens = reactive<Record<LinkKind, string>>({
  share: recall(key("share"), "session") ?? "",
  delegation: recall(key("delegation"), "session") ?? "",
});

/** Keeps the token of this path's fragment. True if there was one, and the address must lose it. */
export function holdToken(path: string, hash: string): boolean {
  const kind = PATHS[path];
  const token = decoded(hash.replace(/^#/, "")).replace(/^token=/, "");
  if (kind === undefined || !token) return false;
  linkTokens[kind] = token;
  remember(key(kind), token, "session");
  return true;
}

/** To be called as soon as the token was redeemed, or turned out to be worth nothing. */
export function forgetToken(kind: LinkKind): void {
  linkTokens[kind] = "";
  remember(key(kind), null, "session");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
