// Which page belongs to which path. Each side keeps its own table beside its views; every view is loaded when needed.
import { type RouteRecordRaw, createRouter, createWebHistory } from "vue-router";
import { showToast } from "vant/es/toast";
import "vant/es/toast/style";
import { webConfig } from "@/api/calls";
import { holdToken } from "@/api/links";
import { account, hasRole, isSignedIn, whenChangedElsewhere } from "@/api/session";
import { leavesAll } from "@/back";
import type { Role } from "@/api/types";
import { type MessageKey, t } from "@/i18n";
import { homePath, noteSide } from "@/sides";
import driver from "@/views/driver/routes";
import family from "@/views/family/routes";
import ops from "@/views/ops/routes";
import owner from "@/views/owner/routes";

declare module "vue-router" {
  interface RouteMeta {
    title?: MessageKey;
    /** Whose page it is: must be held by the account, and chooses the tab bar. */
    side?: Role;
    /** Shows the tab bar; its pages are the first level. */
    tabs?: boolean;
    /** Where the back arrow leads when there is no history; without it there is no arrow. */
    back?: string;
    /** Nobody needs to sign in. */
    open?: boolean;
    /** No bars at all. */
    bare?: boolean;
  }
}

const routes: RouteRecordRaw[] = [
  {
    path: "/",
    name: "home",
    component: () => import("@/views/account/HomeView.vue"),
    meta: { open: true, bare: true },
  },
  {
    path: "/sign-in",
    name: "sign-in",
    component: () => import("@/views/account/SignInView.vue"),
    meta: { open: true, title: "account.sign_in", back: "/" },
  },
  {
    path: "/register",
    name: "register",
    component: () => import("@/views/account/RegisterView.vue"),
    meta: { title: "account.register", back: "/" },
  },
  {
    path: "/terms",
    name: "terms",
    component: () => import("@/views/account/TermsView.vue"),
    meta: { open: true, title: "account.terms", back: "/" },
  },
  {
    path: "/account",
    name: "account",
    component: () => import("@/views/account/AccountView.vue"),
    meta: { title: "account.account", tabs: true },
  },
  {
    path: "/account/audit",
    name: "audit",
    component: () => import("@/views/account/AuditView.vue"),
    meta: { title: "account.audit", back: "/account" },
  },
  ...family,
  ...driver,
  ...owner,
  ...ops,
  {
    path: "/:rest(.*)*",
    name: "lost",
    component: () => import("@/views/account/LostView.vue"),
    meta: { open: true, title: "common.not_found", back: "/" },
  },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

router.beforeEach(async (to) => {
  await leavesAll();
  const bare = holdToken(to.path, to.hash);
  if (bare !== null) return { path: bare, query: to.query, replace: true };
  if (to.name === "home" && isSignedIn.value) return homePath();
  if (!to.meta.open && !isSignedIn.value) return { name: "sign-in", query: { back: to.fullPath } };
  if (to.meta.side && !hasRole(to.meta.side)) return homePath();
  if (to.meta.side) noteSide(to.meta.side);
  return true;
});

// A new build has other file names: whoever still runs the old one gets the new pages with the next step. But a phone without a
// line keeps the page that it has.
router.onError((error: unknown, to) => {
  if (!/import(ed|ing)|Failed to fetch|preload/i.test(String(error))) return;
  webConfig().then(
    () => window.location.assign(to.fullPath),
    () => showToast(t("common.problem_network")),
  );
});

whenChangedElsewhere((before) => {
  const at = router.currentRoute.value;
  if (account.value === null) {
    if (!at.meta.open) void router.replace({ name: "sign-in", query: { back: at.fullPath } });
  } else if (before !== null && before.id !== account.value.id) {
    window.location.reload(); // Nothing that is shown belongs to who is signed in now.
  } else if (at.name === "sign-in") {
    void router.replace(wayBack(at.query.back));
  }
});

/** Where to go after signing in: only a path of ours. */
export function wayBack(query: unknown): string {
  const path = typeof query === "string" ? query : "";
  return /^\/(?![/\\])/.test(path) && !path.startsWith("/sign-in") ? path : "/";
}
