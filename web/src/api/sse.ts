// Server-sent events out of a byte stream. `EventSource` cannot send `Authorization`, and a token in an address gets logged.

export interface ServerEvent {
  name: string;
  data: string;
  id: string;
}

const MAX_EVENT_CHARS = 1 << 20;

/** Feeds on text as it comes; calls back for each whole event, and for whatever shows that the line is alive. */
export class EventReader {
  private rest = "";
  private data: string[] = [];
  private name = "";
  private size = 0;
  lastId = "";
  /** What the service asks to wait before coming back, if it does. */
  retryMs: number | null = null;

  constructor(private readonly onEvent: (event: ServerEvent) => void) {}

  push(text: string): void {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    if (this.rest.length > MAX_EVENT_CHARS) throw new Error("an event without end");
    for (const line of lines) this.take(line);
  }

  private take(line: string): void {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    else if (field === "data") this.grow(value);
    else if (field === "id") this.lastId = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  private grow(value: string): void {
    this.size += value.length;
    if (this.size > MAX_EVENT_CHARS) throw new Error("an event without end");
    this.data.push(value);
  }

  private dispatch(): void {
    const event = { name: this.name || "message", data: this.data.join("\n"), id: this.lastId };
    const isWhole = this.data.length > 0;
    this.data = [];
    this.name = "";
    this.size = 0;
    if (isWhole) this.onEvent(event);
  }
}
