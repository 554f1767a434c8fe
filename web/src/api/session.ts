// Who is signed in. The token lies in localStorage: WeChat's web view drops tabs at will, and a parent who has to sign in
// anew each time would stop looking. Against theft stand a strict Content-Security-Policy, no foreign code, and sign-out
// on the server. It never enters an address.
import { computed, shallowRef } from "vue";
import type { Account, Role, SignedIn } from "./types";
import { recall, remember } from "./storage";

interface Session {
  token: string;
  expires_at: string;
  account: Account;
}

const KEY = "shouwang.session";
const current = shallowRef<Session | null>(read());
/** Whether the browser has kept it: in some private windows nothing is. */
let isKept = current.value !== null;

export const account = computed<Account | null>(() => current.value?.account ?? null);
export const isSignedIn = computed(() => current.value !== null);
export const hasRole = (role: Role): boolean => current.value?.account.roles.includes(role) ?? false;

/** The bearer token, or "" for nobody. */
export const bearer = (): string => current.value?.token ?? "";

export function start(signedIn: SignedIn): void {
  keep({ token: signedIn.token, expires_at: signedIn.expires_at, account: signedIn.account });
}

/** The same session, known better: after registration, or when a role came or went. */
export function update(known: Account): void {
  if (current.value === null) return;
  const { id, kind, roles, registered, display_name } = known;
  keep({ ...current.value, account: { id, kind, roles, registered, display_name } });
}

export function end(): void {
  current.value = null;
  remember(KEY, null);
}

let onChange: (before: Account | null) => void = () => {};
/** What to do when the session has changed and nobody did it here: the service ended it, or another tab signed in or out. */
export const whenChangedElsewhere = (act: (before: Account | null) => void): void => void (onChange = act);

/** The service no longer knows the token. */
export function expire(): void {
  const before = account.value;
  end();
  onChange(before);
}

function keep(session: Session): void {
  current.value = session;
  remember(KEY, JSON.stringify(session));
  isKept = recall(KEY) !== null;
}

function read(): Session | null {
  try {
    const session = JSON.parse(recall(KEY) ?? "null") as Session | null;
    // Whether it has expired is the service's to say: the phone's clock may be wrong.
    return session?.token && Array.isArray(session.account?.roles) ? session : null;
  } catch {
    return null;
  }
}

// Another tab signs in or out. A tab that slept meanwhile was not told, so it looks when it wakes.
function lookAgain(): void {
  const kept = read();
  if (kept?.token === current.value?.token || (kept === null && !isKept)) return;
  const before = account.value;
  current.value = kept;
  isKept = kept !== null;
  onChange(before);
}
window.addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) lookAgain();
});
document.addEventListener("visibilitychange", lookAgain);
window.addEventListener("pageshow", lookAgain);
