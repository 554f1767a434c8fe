// One call over HTTP: headers, time-out, problems. Everything typed stands in `calls.ts`.
import { Problem, problemOf } from "./problem";
import { bearer, end } from "./session";

const TIMEOUT_MS = 15_000;

export interface Options {
  body?: unknown;
  /** Made once an attempt of the person, kept over its retries. */
  idempotencyKey?: string;
  etag?: string;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

export interface Answer<T> { value: T; etag: string | null }

let onSignedOut: () => void = () => {};
/** What to do when the service no longer knows the token. */
export const whenSignedOut = (act: () => void): void => void (onSignedOut = act);

export const newIdempotencyKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export async function get<T>(path: string, options: Options = {}): Promise<T> {
  return (await call<T>("GET", path, options))!.value;
}

/** Null when nothing changed since `options.etag`. */
export const getIfChanged = <T>(path: string, options: Options = {}): Promise<Answer<T> | null> => call<T>("GET", path, options);

export async function post<T>(path: string, body?: unknown, options: Options = {}): Promise<T> {
  return (await call<T>("POST", path, { ...options, body }))!.value;
}

/** A POST that creates: sent again over a bad line, it creates once. */
export const create = <T>(path: string, body?: unknown, options: Options = {}): Promise<T> =>
  post<T>(path, body, { ...options, idempotencyKey: options.idempotencyKey ?? newIdempotencyKey() });

export async function remove<T = void>(path: string, options: Options = {}): Promise<T> {
  return (await call<T>("DELETE", path, options))!.value;
}

export async function send(method: string, path: string, options: Options): Promise<Response> {
  const token = bearer();
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (options.etag) headers["If-None-Match"] = options.etag;
  if (options.idempotencyKey) headers["Idempotency-Key"] = options.idempotencyKey;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  const body = options.body === undefined ? null : JSON.stringify(options.body);
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body, cache: "no-store", credentials: "omit", signal: options.signal ?? null });
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason instanceof Problem ? options.signal.reason : error;
    throw new Problem(0, "network", "");
  }
  if (response.status === 401 && token && token === bearer()) await noteUnauthenticated(response.clone());
  return response;
}

async function noteUnauthenticated(response: Response): Promise<void> {
  if ((await problemOf(response)).code !== "unauthenticated") return;
  end();
  onSignedOut();
}

async function call<T>(method: string, path: string, options: Options): Promise<Answer<T> | null> {
  const limit = new AbortController();
  const giveUp = setTimeout(() => limit.abort(new Problem(0, "network", "")), TIMEOUT_MS);
  const stop = (): void => limit.abort(options.signal?.reason);
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  try {
    const response = await send(method, path, { ...options, signal: limit.signal });
    if (response.status === 304) return null;
    if (!response.ok) throw await problemOf(response);
    const etag = response.headers.get("ETag");
    if (response.status === 204) return { value: undefined as T, etag };
    return { value: (await read<T>(response, limit.signal)), etag };
  } finally {
    clearTimeout(giveUp);
    options.signal?.removeEventListener("abort", stop);
  }
}

async function read<T>(response: Response, signal: AbortSignal): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal.aborted && !(signal.reason instanceof Problem)) throw error;
    throw new Problem(response.status, error instanceof SyntaxError ? "unreadable" : "network", "");
  }
}
