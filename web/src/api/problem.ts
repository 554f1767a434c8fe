// What went wrong, in a form that pages can show and branch on (RFC 9457). Only the service's own code is an answer: a page of
// a proxy, a firewall or a captive portal says nothing of what was asked for, whatever its status (R33).

export interface FieldError {
  field: string;
  message: string;
}

/** Codes of our own, beside those of the service. */
export type LocalCode = "network" | "unreadable" | "foreign";

const URN = "urn:shouwang:problem:";
const NEEDS_PORTAL = 511;
const LONGEST_WAIT_S = 3600;
/** Who is not us may not send the page to sleep. */
const LONGEST_FOREIGN_WAIT_S = 60;

export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The service's stable code; `network` when it could not be reached, `foreign` when another answered, or `unreadable`. */
    readonly code: string,
    /** A sentence for the person, in Chinese; empty for our own codes. */
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
    /** Seconds that the service asks to wait. */
    readonly retryAfterS: number | null = null,
    /** Whatever else the problem carries, such as `binding_id`. */
    readonly facts: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail || code);
    this.name = "Problem";
  }

  /** Whether trying again later may help: it says nothing of what was asked for (R33). */
  get isPassing(): boolean {
    return ["network", "unreadable", "foreign"].includes(this.code) || this.status === 429 || this.status >= 500;
  }

  /** What is wrong with one field of a form. */
  of(field: string): string {
    return this.errors.find((error) => error.field === field)?.message ?? "";
  }
}

export const asProblem = (error: unknown): Problem =>
  error instanceof Problem ? error : new Problem(0, "unreadable", "");

const typeOf = (response: Response): string =>
  (response.headers.get("Content-Type") ?? "").split(";")[0]!.trim().toLowerCase();
export const isJson = (response: Response): boolean => typeOf(response) === "application/json";
export const isProblem = (response: Response): boolean => typeOf(response) === "application/problem+json";
export const isStream = (response: Response): boolean => typeOf(response) === "text/event-stream";

/** Another than the service answered. */
export const foreign = (status = 0): Problem => new Problem(status, "foreign", "");

export async function problemOf(response: Response): Promise<Problem> {
  const body = isProblem(response) ? await bodyOf(response) : {};
  const code = typeof body.code === "string" ? body.code : "";
  if (!code || body.type !== URN + code) return notOurs(response);
  const detail = typeof body.detail === "string" ? body.detail : "";
  const errors = Array.isArray(body.errors) ? (body.errors as FieldError[]) : [];
  return new Problem(response.status, code, detail, errors, waitOf(response, LONGEST_WAIT_S), body);
}

/** A proxy in front of a service that is down says so with 502 to 504; anything else is somebody else's word. */
function notOurs(response: Response): Problem {
  const isDown = response.status >= 500 && response.status !== NEEDS_PORTAL;
  return new Problem(
    response.status,
    isDown ? `http_${response.status}` : "foreign",
    "",
    [],
    waitOf(response, LONGEST_FOREIGN_WAIT_S),
  );
}

function waitOf(response: Response, longestS: number): number | null {
  const wait = Number(response.headers.get("Retry-After") ?? "");
  return Number.isFinite(wait) && wait > 0 ? Math.min(wait, longestS) : null;
}

async function bodyOf(response: Response): Promise<Record<string, unknown>> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {}; // Cut off on its way.
  }
}
