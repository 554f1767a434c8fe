// What went wrong, in a form that pages can show and branch on (RFC 9457).

export interface FieldError { field: string; message: string }

/** Codes of our own, beside those of the service. */
export type LocalCode = "network" | "unreadable";

export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The service's stable code, `network` when it could not be reached, or `unreadable`. */
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
    return this.code === "network" || this.code === "unreadable" || this.status === 429 || this.status >= 500;
  }

  /** What is wrong with one field of a form. */
  of(field: string): string {
    return this.errors.find((error) => error.field === field)?.message ?? "";
  }
}

export const asProblem = (error: unknown): Problem => (error instanceof Problem ? error : new Problem(0, "unreadable", ""));

export async function problemOf(response: Response): Promise<Problem> {
  const wait = Number(response.headers.get("Retry-After") ?? "");
  const retryAfterS = Number.isFinite(wait) && wait > 0 ? wait : null;
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // A proxy's own page, perhaps: the status has to do.
  }
  const code = typeof body.code === "string" ? body.code : `http_${response.status}`;
  const detail = typeof body.detail === "string" ? body.detail : "";
  const errors = Array.isArray(body.errors) ? (body.errors as FieldError[]) : [];
  return new Problem(response.status, code, detail, errors, retryAfterS, body);
}
