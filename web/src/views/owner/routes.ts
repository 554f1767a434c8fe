// The business's pages.
import type { RouteRecordRaw } from "vue-router";

const routes: RouteRecordRaw[] = [
  {
    path: "/owner",
    component: () => import("./OwnerHomeView.vue"),
    meta: { side: "owner", tabs: true, title: "common.vehicles" },
  },
  {
    path: "/owner/map",
    component: () => import("./OwnerMapView.vue"),
    meta: { side: "owner", tabs: true, title: "common.map_fleet" },
  },
  {
    path: "/owner/vehicles",
    component: () => import("./OwnedVehiclesView.vue"),
    meta: { side: "owner", title: "owner.lists", back: "/owner" },
  },
  {
    path: "/owner/vehicles/:id",
    component: () => import("./OwnedVehicleView.vue"),
    props: true,
    meta: { side: "owner", title: "owner.vehicle", back: "/owner/vehicles" },
  },
];
export default routes;
