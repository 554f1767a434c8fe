// The control room: its own key, no account.
import type { RouteRecordRaw } from "vue-router";

const routes: RouteRecordRaw[] = [
  { path: "/ops", component: () => import("./OpsView.vue"), meta: { open: true, bare: true, title: "ops.title" } },
];

if (import.meta.env.DEV || import.meta.env.VITE_GALLERY) {
  routes.push({
    path: "/ops/gallery",
    component: () => import("@/views/gallery/GalleryView.vue"),
    meta: { open: true, title: "common.app" },
  });
}
export default routes;
