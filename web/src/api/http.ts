// One call over HTTP: headers, time-out, problems, and whether it was the service that answered. Everything typed stands in
// `calls.ts`.
import { noteDate, running } from "./clock";
import { Problem, foreign, isJson, isProblem, isStream, problemOf } from "./problem";
import { bearer, expire } from "./session";

const TIMEOUT_MS = 15_000;

export interface Options {
  body?: unknown;
  /** Made once an attempt of the person, kept over its retries. */
  idempotencyKey?: string;
  etag?: string;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

export interface Answer<T> {
  value: T;
  etag: string | null;
}

export const newIdempotencyKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export async function get<T>(path: string, options: Options = {}): Promise<T> {
  return (await call<T>("GET", path, options))!.value;
}

/** Null when nothing changed since `options.etag`. */
export const getIfChanged = <T>(path: string, options: Options = {}): Promise<Answer<T> | null> =>
  call<T>("GET", path, options);

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
  const sentAt = running();
  let response: Response;
  try {
    // The service redirects nobody: whoever does leads elsewhere, a portal most likely.
    response = await fetch(path, {
      method,
      headers,
      body,
      cache: "no-store",
      credentials: "omit",
      redirect: "manual",
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "network", "");
  }
  if (response.type === "opaqueredirect") throw foreign();
  if (isJson(response) || isProblem(response) || isStream(response) || response.status === 304)
    noteDate(response.headers.get("Date"), sentAt);
  if (response.status === 401 && token && token === bearer()) await noteUnauthenticated(response.clone());
  return response;
}

async function noteUnauthenticated(response: Response): Promise<void> {
  if ((await problemOf(response)).code === "unauthenticated") expire();
}

async function call<T>(method: string, path: string, options: Options): Promise<Answer<T> | null> {
  // Older browsers know no reason of an abort; so it is noted here.
  let isLate = false;
  const limit = new AbortController();
  const giveUp = setTimeout(() => {
    isLate = true;
    limit.abort();
  }, TIMEOUT_MS);
  const stop = (): void => limit.abort();
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  try {
    const response = await send(method, path, { ...options, signal: limit.signal });
    if (response.status === 304 && options.etag) return null;
    if (!response.ok) throw await problemOf(response);
    const etag = response.headers.get("ETag");
    if (response.status === 204 && method !== "GET") return { value: undefined as T, etag };
    return { value: await read<T>(response), etag };
  } catch (error) {
    throw isLate ? new Problem(0, "network", "") : error;
  } finally {
    clearTimeout(giveUp);
    options.signal?.removeEventListener("abort", stop);
  }
}

/** Every answer of the service is one JSON object. */
async function read<T>(response: Response): Promise<T> {
  if (!isJson(response)) throw foreign(response.status);
  let value: unknown;
  try {
    value = await response.json();
  } catch (error) {
    if ((error as { name?: unknown }).name === "AbortError") throw error;
    throw new Problem(response.status, error instanceof SyntaxError ? "unreadable" : "network", "");
  }
  if (typeof value !== "object" || value === null) throw foreign(response.status);
  return value as T;
}
