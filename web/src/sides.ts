// Driver, family, owner: which side somebody is on, and what its tab bar shows.
import { computed, ref } from "vue";
import { account } from "@/api/session";
import { recall, remember } from "@/api/storage";
import type { Role } from "@/api/types";
import type { IconName } from "@/components/icons";
import type { MessageKey } from "@/i18n";

export interface Tab {
  to: string;
  label: MessageKey;
  icon: IconName;
}

const KEY = "shouwang.side";
const ORDER: Role[] = ["owner", "driver", "family"];
const last = ref(recall(KEY));

export const TABS: Record<Role, Tab[]> = {
  driver: [
    { to: "/driver", label: "common.vehicles", icon: "truck" },
    { to: "/account", label: "common.mine", icon: "person" },
  ],
  family: [
    { to: "/family", label: "common.vehicles", icon: "heart" },
    { to: "/account", label: "common.mine", icon: "person" },
  ],
  owner: [
    { to: "/owner", label: "common.vehicles", icon: "truck" },
    { to: "/owner/map", label: "common.map_fleet", icon: "map" },
    { to: "/account", label: "common.mine", icon: "person" },
  ],
};

/** The sides that this account may take, the most likely first. */
export const sides = computed<Role[]>(() => ORDER.filter((role) => account.value?.roles.includes(role)));
export const side = computed<Role | null>(
  () => sides.value.find((role) => role === last.value) ?? sides.value[0] ?? null,
);
export const homePath = (): string => (side.value === null ? "/account" : `/${side.value}`);

export function noteSide(role: Role): void {
  last.value = role;
  remember(KEY, role);
}
