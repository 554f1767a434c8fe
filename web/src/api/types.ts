// The answers of the HTTP contract, as TypeScript sees them. Field names are the contract's.

export type PlateColor =
  | "blue"
  | "yellow"
  | "black"
  | "white"
  | "green"
  | "farm_yellow"
  | "farm_green"
  | "yellow_green"
  | "gradient_green"
  | "other";
/** RFC 3339 with an offset. */
export type Instant = string;
/** YYYY-MM-DD in China. */
export type Day = string;
/** Longitude, latitude. */
export type Position = [number, number];
export type Role = "driver" | "family" | "owner";

export interface Page<T> {
  items: T[];
  next: string | null;
}
export interface VehiclePlate {
  plate: string;
  plate_color: PlateColor;
}

export interface TileSource {
  url: string;
  attribution: string;
  crs: "gcj02" | "wgs84";
}
export interface WebConfig {
  identity: "sandbox" | "wechat";
  tiles: TileSource | null;
  version: string;
}
export interface Terms {
  version: string;
  text: string;
}

export interface Account {
  id: string;
  kind: "natural" | "legal";
  roles: Role[];
  registered: boolean;
  display_name: string;
}
export interface SignedIn {
  token: string;
  expires_at: Instant;
  account: Account;
}
export type CertificateKind = "qualification" | "operating_licence" | "transport" | "annual_review";
export type CertificateState = "valid" | "expiring" | "expired";
export interface Certificate {
  kind: CertificateKind;
  number_masked: string;
  valid_until: Day;
  state: CertificateState;
  days_left: number;
}
export interface Reminder {
  kind: CertificateKind;
  state: CertificateState;
  valid_until: Day;
  days_left: number;
}
/** A problem that a call would meet now, told before anybody makes it. */
export interface ToldProblem {
  status: number;
  code: string;
  title: string;
  detail: string;
  binding_id?: string;
  frees_on?: Day;
}
export interface Me extends Account {
  /** The registered phone, never whole. */
  phone_masked: string | null;
  certificates: Certificate[];
  counts: Record<string, number>;
  /** What would refuse one more binding now. */
  bind_refusal: ToldProblem | null;
}
export interface AuditRecord {
  id: string;
  at: Instant;
  actor: { kind: string; display_name: string };
  action: string;
  subject: { kind: string; id: string };
  address_masked: string;
  detail: string;
}

export interface LastFix {
  time: Instant;
  received_at: Instant;
  age_s: number;
  wgs84: Position;
  gcj02: Position;
  speed_kmh: number;
  course_deg: number;
  altitude_m: number;
  place: string | null;
}
export type AlertKind =
  | "speeding"
  | "fatigue"
  | "fatigue_warning"
  | "emergency"
  | "collision"
  | "rollover"
  | "dangerous_driving"
  | "speeding_warning"
  | (string & {});
export interface Alert {
  id: string;
  kind: AlertKind;
  source: "terminal" | "platform";
  title: string;
  started_at: Instant;
  ended_at: Instant | null;
  ongoing: boolean;
  wgs84: Position | null;
  gcj02: Position | null;
  place: string | null;
  speed_kmh: number;
  peak_kmh: number;
  limit_kmh: number | null;
}
export interface DrivingToday {
  distance_km: number;
  driving_s: number;
  longest_stint_s: number;
  alert_count: number;
}

export interface ShareView {
  id: string;
  vehicle: VehiclePlate;
  /** Who drives; the phone only where the driver said that the family may call. */
  driver: { display_name: string; phone: string | null };
  expires_at: Instant;
  online: boolean;
  last_fix: LastFix | null;
  certificate_reminders: Reminder[];
  alerts: Alert[];
  driving_today: DrivingToday;
  refresh_after?: number;
}
export interface PositionEvent extends LastFix {
  online: boolean;
}
export interface PresenceEvent {
  online: boolean;
  last_fix: LastFix | null;
}
export type EndReason = "cancelled" | "expired" | "unbound";
export interface EndedEvent {
  id: string;
  reason: EndReason;
}

export type ShareDuration = "3d" | "7d" | "1mo" | "1y";
export type ShareStatus = "unopened" | "open" | "cancelled" | "expired" | "ended";
export interface Share {
  id: string;
  binding_id: string;
  vehicle: VehiclePlate;
  duration: ShareDuration;
  created_at: Instant;
  expires_at: Instant;
  status: ShareStatus;
  call_me: boolean;
  viewer: null | { display_name: string; opened_at: Instant; last_watched_at: Instant | null };
}
/** Only the answer that creates it has the link. */
export interface NewShare extends Share {
  link: string;
  token: string;
}
export interface Binding {
  id: string;
  vehicle: VehiclePlate;
  kind: "self" | "delegated";
  bound_at: Instant;
  unbound_at: Instant | null;
  unbound_by: "driver" | "owner" | null;
  delegate_name: string | null;
  shares_live: number;
  last_fix: LastFix | null;
  /** Null where nobody knows at the moment: the vehicle did not answer in time. */
  online: boolean | null;
}
export interface BindingPage extends Binding {
  shares: Share[];
  /** What would refuse one more share now. */
  share_refusal: ToldProblem | null;
  certificate_reminders: Reminder[];
  alert_counts: Record<string, number>;
  alerts: Alert[];
}
export type DelegationStatus = "unopened" | "open" | "bound" | "withdrawn" | "expired";
export interface Delegation {
  id: string;
  plate: string;
  plate_color: PlateColor;
  created_at: Instant;
  expires_at: Instant;
  status: DelegationStatus;
  delegate_name: string | null;
  binding_id: string | null;
}
export interface NewDelegation extends Delegation {
  link: string;
  token: string;
}
export interface BindingProof {
  transport_cert_no: string;
  vin: string;
}

export interface LinkPreview {
  kind: "share" | "delegation";
  plate_masked: string;
  driver_name_masked: string;
  state: "unopened" | "taken" | "ended" | "yours";
  /** Whether the signed-in account made the link; only then it is told who opened it. */
  own: boolean;
  viewer: null | { display_name: string; opened_at: Instant };
}
export interface OpenedDelegation {
  id: string;
  plate: string;
  plate_color: PlateColor;
  driver_name_masked: string;
}
export type OpenedLink = ShareView | OpenedDelegation;
export interface FamilyShare {
  id: string;
  vehicle: VehiclePlate;
  driver_name_masked: string;
  status: ShareStatus;
  expires_at: Instant;
  online: boolean | null;
  last_fix: LastFix | null;
}
export interface FamilyDelegation {
  id: string;
  plate: string;
  plate_color: PlateColor;
  driver_name_masked: string;
  status: DelegationStatus;
  binding_id: string | null;
}

export interface OwnedVehicle extends VehiclePlate {
  id: string;
  online: boolean | null;
  last_fix: LastFix | null;
  bindings_count: number;
  certificate_reminders: Reminder[];
}
export interface OwnerBinding {
  id: string;
  driver_name_masked: string;
  kind: "self" | "delegated";
  bound_at: Instant;
}
export interface OwnedVehiclePage extends OwnedVehicle {
  online: boolean;
  vin: string;
  transport_cert_no: string;
  transport_cert_valid_until: Day;
  annual_review_due: Day | null;
  terminal_phone_masked: string | null;
  speed_limit_kmh: number;
  driving_today: DrivingToday;
  bindings: OwnerBinding[];
  alerts: Alert[];
}

export interface FleetSummary {
  vehicles: number;
  bound: number;
  online: number;
  alerting: number;
  expiring: number;
  expired: number;
}
export type FleetFilter = "all" | "online" | "alerting" | "expiring";
export interface MapVehicle extends VehiclePlate {
  id: string;
  time: Instant;
  wgs84: Position;
  gcj02: Position;
  course_deg: number;
  speed_kmh: number;
  online: boolean;
  alert: boolean;
}
export interface MapCluster {
  wgs84: Position;
  gcj02: Position;
  vehicle_count: number;
  online_count: number;
  alerting_count: number;
}
/** Every vehicle in view, or clusters of them where they are too many. */
export interface OwnedMap {
  items: MapVehicle[];
  clusters: MapCluster[];
  vehicle_count: number;
  refresh_after: number;
}

// -- operations -------------------------------------------------------------------------------------------------------

export type ServiceStatus = "ok" | "degraded" | "failing";
export interface ClockView {
  now: Instant;
  speed: number;
  virtual: boolean;
}
export interface DeadLetter {
  at: Instant;
  actor: string;
  message: string;
  reason: string;
}
export interface Health {
  status: ServiceStatus;
  version: string;
  uptime_s: number;
  clock: ClockView;
  timekeeping: { settled: boolean; machine_ahead_s: number; fleet_ahead_s: number | null };
  identity_provider: { name: string; notice: string };
  components: Record<string, { status: ServiceStatus; reasons: string[] }>;
  vehicles: number;
  online: number;
  offline: number;
  actors: Record<string, number>;
  mailboxes: { depth_max: number; depth_total: number };
  restarts: number;
  parked: number;
  dead_letters: { total: number; last: DeadLetter[] };
  telemetry: {
    fixes_total: number;
    fixes_per_s_10s: number;
    fixes_per_s_60s: number;
    waiting: number;
    conflated: number;
    refused_batches: number;
    unrouted_batches: number;
  };
  ingest_lag_s: number;
  timers: { pending: number; fired: number; lateness_s: number; worst_lateness_s: number };
  store: {
    name: string;
    commits: number;
    failures: number;
    queue_depth: number;
    last_commit_s: number;
    mean_commit_s: number;
    p99_commit_s: number;
    append_s: number;
  };
  event_loop: { lag_s: number; worst_lag_60s_s: number };
  gateway: Record<string, unknown>;
  data_quality: {
    online_rate: number | null;
    valid_fix_rate: number | null;
    track_completeness: number | null;
    drift_rate: number | null;
    outcomes: Record<string, number>;
    corrected_clocks: number;
    implausible_alarm_words: number;
    speeding_at_standstill: number;
    alerts_begun: number;
  };
}
/** Positions in 1e-5 degrees (WGS-84). Vehicles: id, longitude, latitude, course, online, alert. Clusters: longitude, latitude, vehicles, online, alerts. */
export interface FleetPicture {
  vehicles: [string, number, number, number, number, number][];
  clusters: [number, number, number, number, number][];
  vehicle_count: number;
}

export const isShareView = (opened: OpenedLink): opened is ShareView => "vehicle" in opened;
