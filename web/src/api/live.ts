// A live stream that survives: dead zones, a sleeping phone, a server's restart, a proxy that keeps what comes. It resumes where
// it stopped, polls while nothing is heard, rests while nobody looks, and stops for good when the service says that it has ended.
import { type Ref, onScopeDispose, ref, shallowRef } from "vue";
import { send } from "./http";
import { Problem, asProblem, foreign, isStream, problemOf } from "./problem";
import { EventReader, type ServerEvent } from "./sse";

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** A heartbeat of the service (15 s) that did not come: whatever the socket says, this is not live. */
const QUIET_MS = 20_000;
/** Three of them: the line is dead. */
const SILENCE_MS = 45_000;
const POLL_MS = 30_000;
/** Failed streams in a row before the page calls itself polling. */
const PATIENCE = 2;

export type LiveState = "connecting" | "live" | "polling" | "paused" | "ended" | "refused";

export interface LiveOptions {
  path: () => string;
  headers?: () => Record<string, string>;
  /** One event; `data` is decoded JSON. */
  onEvent: (name: string, data: unknown) => void;
  /** Asks for the whole picture once: at waking up, when a stream is back, and every 30 s while nothing is heard. Rejects with a `Problem`. */
  poll: () => Promise<void>;
  /** `ended`, or 410: nothing comes any more. */
  onEnd: (reason: unknown) => void;
  /** Any other answer that trying again will not change (401, 403, 404). */
  onRefused?: (problem: Problem) => void;
}

/** The wait before the `failures`-th new attempt: exponential, with half of it left to chance. */
export function backOffMs(failures: number, chance = Math.random()): number {
  const whole = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10));
  return whole / 2 + (whole / 2) * chance;
}

export class LiveStream {
  readonly state: Ref<LiveState> = ref("connecting");
  /** What went wrong last, while it does. */
  readonly problem = shallowRef<Problem | null>(null);
  private failures = 0;
  /** Something failed since the whole picture was last had. */
  private isBehind = false;
  private lastId = "";
  private line: AbortController | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private quiet: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private polls: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly options: LiveOptions) {
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("online", this.wake);
    window.addEventListener("pageshow", this.onShow);
    if (document.hidden) this.state.value = "paused";
    else void this.connect();
  }

  /** Tries at once, whatever the back-off says. */
  readonly wake = (): void => {
    if (this.isOver || document.hidden) return;
    this.failures = 0;
    void this.refresh();
    void this.connect();
  };

  close(): void {
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("online", this.wake);
    window.removeEventListener("pageshow", this.onShow);
    this.hangUp();
    this.stopPolling();
  }

  private get isOver(): boolean {
    return this.state.value === "ended" || this.state.value === "refused";
  }

  private readonly onShow = (event: PageTransitionEvent): void => {
    if (event.persisted) this.wake();
  };

  private readonly onVisibility = (): void => {
    if (this.isOver) return;
    if (!document.hidden) return this.wake();
    this.hangUp();
    this.stopPolling();
    this.state.value = "paused";
  };

  private hangUp(): void {
    clearTimeout(this.retry);
    clearTimeout(this.quiet);
    clearTimeout(this.silence);
    this.line?.abort();
    this.line = null;
  }

  private async connect(): Promise<void> {
    this.hangUp();
    const line = new AbortController();
    this.line = line;
    if (this.state.value !== "polling") this.state.value = "connecting";
    this.startPolling();
    let askedMs: number | null = null;
    try {
      askedMs = await this.listen(line);
    } catch (error) {
      if (this.line !== line) return;
      const problem = asProblem(error);
      if (this.isFinal(problem)) return;
      this.problem.value = problem.code === "unreadable" ? new Problem(0, "network", "") : problem;
      askedMs = problem.retryAfterS === null ? null : problem.retryAfterS * 1000;
    }
    if (this.line === line && !this.isOver) this.comeBack(askedMs);
  }

  private async listen(line: AbortController): Promise<number | null> {
    const headers: Record<string, string> = { Accept: "text/event-stream", ...this.options.headers?.() };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    this.expectSound(line);
    const response = await send("GET", this.options.path(), { headers, signal: line.signal });
    if (!response.ok) throw await problemOf(response);
    if (!isStream(response) || response.body === null) throw foreign(response.status);
    const reader = new EventReader((event) => this.take(event));
    const bytes = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await bytes.read();
      if (done || line.signal.aborted) return reader.retryMs;
      this.hear(line);
      reader.push(decoder.decode(value, { stream: true }));
      if (this.isOver) return null;
    }
  }

  /** The head of an answer proves nothing: a proxy may keep the rest. What is heard does. */
  private hear(line: AbortController): void {
    this.failures = 0;
    this.expectSound(line);
    if (this.state.value === "live") return;
    this.state.value = "live";
    this.problem.value = null;
    this.stopPolling();
    if (this.isBehind) void this.refresh();
  }

  private expectSound(line: AbortController): void {
    clearTimeout(this.quiet);
    clearTimeout(this.silence);
    this.quiet = setTimeout(() => this.goQuiet(), QUIET_MS);
    this.silence = setTimeout(() => line.abort(), SILENCE_MS);
  }

  private goQuiet(): void {
    this.isBehind = true;
    if (this.state.value !== "live") return;
    this.state.value = "connecting";
    this.startPolling();
    void this.refresh();
  }

  private take(event: ServerEvent): void {
    if (event.id) this.lastId = event.id;
    let data: unknown;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    if (event.name === "ended") this.finish(data);
    else this.options.onEvent(event.name, data);
  }

  private finish(reason: unknown): void {
    if (this.isOver) return;
    this.state.value = "ended";
    this.hangUp();
    this.stopPolling();
    this.options.onEnd(reason);
  }

  /** Whether this answer is the last word. A failure of the service's own is none, nor is anybody else's answer (R33). */
  private isFinal(problem: Problem): boolean {
    if (problem.isPassing) return false;
    if (problem.status === 410) {
      this.finish(null);
      return true;
    }
    if (![401, 403, 404].includes(problem.status)) return false;
    this.state.value = "refused";
    this.problem.value = problem;
    this.hangUp();
    this.stopPolling();
    this.options.onRefused?.(problem);
    return true;
  }

  private comeBack(askedMs: number | null): void {
    this.failures += 1;
    this.isBehind = true;
    if (this.failures === PATIENCE) this.poll();
    this.retry = setTimeout(() => void this.connect(), Math.max(askedMs ?? 0, backOffMs(this.failures - 1)));
  }

  private startPolling(): void {
    if (this.polls === undefined && !this.isOver && !document.hidden)
      this.polls = setInterval(() => this.poll(), POLL_MS);
  }

  private poll(): void {
    if (this.isOver || document.hidden) return;
    this.state.value = "polling";
    void this.refresh();
  }

  private stopPolling(): void {
    clearInterval(this.polls);
    this.polls = undefined;
  }

  /** Asks for the whole picture once more. */
  async refresh(): Promise<void> {
    try {
      await this.options.poll();
      this.isBehind = false;
      if (this.state.value === "polling") this.problem.value = null;
    } catch (error) {
      const problem = asProblem(error);
      this.isBehind = true;
      if (!this.isOver && !this.isFinal(problem) && this.state.value !== "live") this.problem.value = problem;
    }
  }
}

/** A `LiveStream` that lives as long as the component. */
export function useLive(options: LiveOptions): LiveStream {
  const stream = new LiveStream(options);
  onScopeDispose(() => stream.close());
  return stream;
}
