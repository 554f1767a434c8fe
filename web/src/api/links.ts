// The secret of a link: it comes in the fragment, which no server sees, and leaves the address bar at once. It outlives the
// way through sign-in and a reload of the tab (sessionStorage), and is forgotten as soon as it was redeemed.
import { reactive } from "vue";
import { recall, remember } from "./storage";

export type LinkKind = "share" | "delegation";
export const LINK_PATHS: Record<LinkKind, string> = { share: "/s", delegation: "/d" };
const KINDS: Record<string, LinkKind> = { s: "share", d: "delegation" };
const key = (kind: LinkKind): string => `shouwang.link.${kind}`;

/** The address of a link, from its path on: chat programs put parameters before the fragment, or write its sign otherwise. */
const ADDRESS = /(?:^|\/)([sd])\/?(?:\?[^#＃\s]*)?[#＃](\S+)/u;
const TOKEN = /[sd][0-9a-f]{16}[A-Za-z0-9_-]{32}/;
const MAX_CHARS = 200;

/** The tokens at hand; "" where there is none. */
export const linkTokens = reactive<Record<LinkKind, string>>({
  share: recall(key("share"), "session") ?? "",
  delegation: recall(key("delegation"), "session") ?? "",
});

/** Keeps the token of this address. The path that the address shall have without it; null where there was none. */
export function holdToken(path: string, hash: string): string | null {
  const kind = /^\/[sd](?:\/?$|%)/.test(path) ? holdLink(path + hash) : null;
  return kind === null ? null : LINK_PATHS[kind];
}

/** Keeps the token of the link within this text, a whole message perhaps. Which kind of link it is; null where there is none. */
export function holdLink(text: string): LinkKind | null {
  const found = ADDRESS.exec(text) ?? ADDRESS.exec(decoded(text));
  const token = tokenIn(found?.[2] ?? "");
  const kind = KINDS[found?.[1] ?? ""];
  if (kind === undefined || !token) return null;
  linkTokens[kind] = token;
  remember(key(kind), token, "session");
  return kind;
}

/** To be called as soon as the token was redeemed, or turned out to be worth nothing. */
export function forgetToken(kind: LinkKind): void {
  linkTokens[kind] = "";
  remember(key(kind), null, "session");
}

/** The token without what chat programs and people glue to a link: 。 ） %20 #wechat_redirect ?from=… and words. */
function tokenIn(fragment: string): string {
  const text = decoded(fragment);
  const whole = TOKEN.exec(text);
  if (whole) return whole[0];
  return (/[A-Za-z0-9_-]+/.exec(text.replace(/^\W*token=/, ""))?.[0] ?? "").slice(0, MAX_CHARS);
}

/** As often as it was encoded; a sign that is cut in two stays as it is. */
function decoded(text: string): string {
  try {
    const once = decodeURIComponent(text);
    return once === text ? text : decoded(once);
  } catch {
    return text;
  }
}
