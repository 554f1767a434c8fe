// The family's pages. `/s` and `/d` are where links lead: their tokens are in `linkTokens` when the view opens.
// The page behind a share's link is there with the first file, since it is what a phone loads first: one journey fewer.
import type { RouteRecordRaw } from "vue-router";
import OpenShareView from "./OpenShareView.vue";

const routes: RouteRecordRaw[] = [
  { path: "/s", component: OpenShareView, meta: { open: true, title: "family.link_share", back: "/" } },
  {
    path: "/d",
    component: () => import("./OpenDelegationView.vue"),
    meta: { open: true, title: "family.link_delegation", back: "/" },
  },
  {
    path: "/family",
    component: () => import("./FamilyHomeView.vue"),
    meta: { side: "family", tabs: true, title: "common.vehicles" },
  },
  {
    path: "/family/shares/:id",
    component: () => import("./WatchView.vue"),
    props: true,
    meta: { side: "family", title: "family.watch", back: "/family" },
  },
  {
    path: "/family/shares/:id/alerts",
    component: () => import("./AlertsView.vue"),
    props: true,
    meta: { side: "family", title: "common.alerts", back: "/family" },
  },
  {
    path: "/family/delegations/:id",
    component: () => import("./DelegationView.vue"),
    props: true,
    meta: { side: "family", title: "family.bind_title", back: "/family" },
  },
];
export default routes;
