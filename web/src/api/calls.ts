// Every call of the contract, by name.
import { type Options, create, get, getIfChanged, post, remove } from "./http";
import type * as T from "./types";

const V1 = "/api/v1";
const id = encodeURIComponent;
interface Paging {
  cursor?: string | null;
  limit?: number;
  [filter: string]: string | number | null | undefined;
}

function query(parts: Paging): string {
  const pairs = Object.entries(parts).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)]))}` : "";
}

export const webConfig = () => get<T.WebConfig>(`${V1}/web-config`);
export const terms = () => get<T.Terms>(`${V1}/terms`);

export type SignIn =
  | { kind: "natural"; wechat_code: string; terms_version: string }
  | { kind: "one_click"; phone_code: string; terms_version: string }
  | { kind: "legal"; username: string; password: string; terms_version: string };
export const signIn = (body: SignIn) => post<T.SignedIn>(`${V1}/sessions`, body);
export const signOut = () => remove(`${V1}/sessions/current`);
export const register = (body: { real_name: string; citizen_id: string; phone_code: string }) =>
  post<T.Account>(`${V1}/registration`, body);

export const me = (options?: Options) => get<T.Me>(`${V1}/me`, options);
export const certificates = () => get<{ items: T.Certificate[] }>(`${V1}/me/certificates`);
export const audit = (page: Paging = {}) => get<T.Page<T.AuditRecord>>(`${V1}/me/audit${query(page)}`);

export const driver = {
  vehicles: (list: "current" | "history", page: Paging = {}) =>
    get<T.Page<T.Binding>>(`${V1}/driver/vehicles${query({ list, ...page })}`),
  shared: (page: Paging = {}) =>
    get<T.Page<T.FamilyShare>>(`${V1}/driver/vehicles${query({ list: "shared", ...page })}`),
  bind: (body: T.VehiclePlate & T.BindingProof, options?: Options) =>
    create<T.Binding>(`${V1}/driver/bindings`, body, options),
  binding: (binding: string) => get<T.BindingPage>(`${V1}/driver/bindings/${id(binding)}`),
  unbind: (binding: string) => remove(`${V1}/driver/bindings/${id(binding)}`),
  rebind: (binding: string, options?: Options) =>
    create<T.Binding>(`${V1}/driver/bindings/${id(binding)}/rebind`, undefined, options),
  share: (binding: string, body: { duration: T.ShareDuration; call_me: boolean }, options?: Options) =>
    create<T.NewShare>(`${V1}/driver/bindings/${id(binding)}/shares`, body, options),
  cancelShares: (binding: string) => remove<{ cancelled: number }>(`${V1}/driver/bindings/${id(binding)}/shares`),
  shares: (page: Paging = {}) => get<T.Page<T.Share>>(`${V1}/driver/shares${query(page)}`),
  cancelShare: (share: string) => remove(`${V1}/driver/shares/${id(share)}`),
  delegate: (body: T.VehiclePlate, options?: Options) =>
    create<T.NewDelegation>(`${V1}/driver/delegations`, body, options),
  delegations: (page: Paging = {}) => get<T.Page<T.Delegation>>(`${V1}/driver/delegations${query(page)}`),
  withdraw: (delegation: string) => remove(`${V1}/driver/delegations/${id(delegation)}`),
};

export const family = {
  preview: (token: string) => post<T.LinkPreview>(`${V1}/links/preview`, { token }),
  open: (token: string, options?: Options) => create<T.OpenedLink>(`${V1}/links/open`, { token }, options),
  bind: (delegation: string, body: T.BindingProof, options?: Options) =>
    create<T.Binding>(`${V1}/family/delegations/${id(delegation)}/bind`, body, options),
  shares: (page: Paging = {}) => get<T.Page<T.FamilyShare>>(`${V1}/family/shares${query(page)}`),
  delegations: (page: Paging = {}) => get<T.Page<T.FamilyDelegation>>(`${V1}/family/delegations${query(page)}`),
  share: (share: string, options?: Options) => getIfChanged<T.ShareView>(`${V1}/family/shares/${id(share)}`, options),
  alerts: (share: string, page: Paging = {}) =>
    get<T.Page<T.Alert>>(`${V1}/family/shares/${id(share)}/alerts${query(page)}`),
  livePath: (share: string) => `${V1}/family/shares/${id(share)}/live`,
};

export const owner = {
  vehicles: (list: "bound" | "all" | "expiring", page: Paging = {}) =>
    get<T.Page<T.OwnedVehicle>>(`${V1}/owner/vehicles${query({ list, ...page })}`),
  vehicle: (vehicle: string) => get<T.OwnedVehiclePage>(`${V1}/owner/vehicles/${id(vehicle)}`),
  vehiclePath: (vehicle: string) => `${V1}/owner/vehicles/${id(vehicle)}`,
  unbind: (binding: string) => remove(`${V1}/owner/bindings/${id(binding)}`),
  summaryPath: () => `${V1}/owner/summary`,
  /** `bbox`: west,south,east,north. */
  mapPath: (bbox: string, only: T.FleetFilter, limit: number) => `${V1}/owner/map${query({ bbox, only, limit })}`,
  map: (bbox: string, only: T.FleetFilter, limit: number) =>
    get<T.OwnedMap>(`${V1}/owner/map${query({ bbox, only, limit })}`),
};

export const ops = {
  livePath: (bbox: string, limit: number) => `${V1}/ops/live${query({ bbox, limit })}`,
  health: (key: string) => get<T.Health>("/health", { headers: { "X-Ops-Key": key } }),
  /** On a virtual clock only. */
  advance: (seconds: number) => post<T.ClockView>("/dev/clock", { advance_s: seconds }),
};
