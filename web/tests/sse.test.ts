import assert from "node:assert/strict";
import { test } from "node:test";
import { EventReader, type ServerEvent } from "@/api/sse";

function read(...parts: string[]): { events: ServerEvent[]; reader: EventReader } {
  const events: ServerEvent[] = [];
  const reader = new EventReader((event) => events.push(event));
  for (const part of parts) reader.push(part);
  return { events, reader };
}

const STREAM = ': beat\r\n\r\nretry: 3000\nid: 7\nevent: fix\r\ndata: {"a":\r\ndata: 1}\n\ndata: 二\r\n\r\n';
const EVENTS = [
  { name: "fix", data: '{"a":\n1}', id: "7" },
  { name: "message", data: "二", id: "7" },
];

test("events come out the same wherever the stream is cut", () => {
  for (let first = 0; first <= STREAM.length; first++)
    for (let second = first; second <= STREAM.length; second++) {
      const parts = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)];
      assert.deepEqual(read(...parts).events, EVENTS, JSON.stringify(parts));
    }
});

test("the last id stays for resuming, and the wait that the service asks for", () => {
  const { reader } = read(STREAM);
  assert.equal(reader.lastId, "7");
  assert.equal(reader.retryMs, 3000);
  reader.push("retry: soon\n\n");
  assert.equal(reader.retryMs, 3000);
});

test("an event that is not yet whole is not told, nor one without data", () => {
  assert.deepEqual(read("data: 1\n").events, []);
  assert.deepEqual(read("event: fix\n\n").events, []);
});

test("one blank after the colon is the format's, a second is the text's", () => {
  assert.equal(read("data:  x\n\n").events[0]?.data, " x");
  assert.equal(read("data:x\n\n").events[0]?.data, "x");
});

test("an event without end is refused, as one line and as many", () => {
  assert.throws(() => read("data: " + "x".repeat((1 << 20) + 1)));
  const { reader } = read();
  const line = `data: ${"x".repeat(1 << 16)}\n`;
  assert.throws(() => {
    for (let i = 0; i < 17; i++) reader.push(line);
  });
});
