import type { LastFix, Position } from "@/api/types";

/** What a map of one truck shows. */
export interface TruckShown {
  fix: LastFix | null;
  online: boolean;
  /** Said to who cannot see the map. */
  plate?: string;
  /** Paints the truck red. */
  alarmed?: boolean;
  /** As the base map wants it, where nothing is said: our own has towns and motorways, and no streets. */
  zoom?: number;
  /** A place to mark besides, such as that of an alert. */
  mark?: { wgs84: Position; gcj02: Position } | null;
  /** What the map shows, where that is no truck. */
  label?: string;
}
