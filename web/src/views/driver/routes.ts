// The driver's pages.
import type { RouteRecordRaw } from "vue-router";

const page = (title: NonNullable<RouteRecordRaw["meta"]>["title"]): RouteRecordRaw["meta"] => ({
  side: "driver",
  title: title!,
  back: "/driver",
});

const routes: RouteRecordRaw[] = [
  {
    path: "/driver",
    component: () => import("./DriverHomeView.vue"),
    meta: { side: "driver", tabs: true, title: "common.vehicles" },
  },
  { path: "/driver/bind", component: () => import("./BindView.vue"), meta: page("driver.bind") },
  { path: "/driver/delegate", component: () => import("./DelegateView.vue"), meta: page("driver.delegate") },
  { path: "/driver/shares", component: () => import("./SharesView.vue"), meta: page("driver.shares") },
  {
    path: "/driver/certificates",
    component: () => import("./CertificatesView.vue"),
    meta: page("driver.certificates"),
  },
  {
    path: "/driver/bindings/:id",
    component: () => import("./BindingView.vue"),
    props: true,
    meta: page("driver.vehicle"),
  },
];
export default routes;
