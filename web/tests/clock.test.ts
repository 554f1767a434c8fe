import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { noteAtLeast, noteDate, now, running, serviceNow } from "@/api/clock";

const SERVICE = Date.parse("2026-11-22T06:05:00Z");
let steady = performance.now();
let wall = Date.now();
mock.method(performance, "now", () => steady);
mock.method(Date, "now", () => wall);

function pass(ms: number): void {
  steady += ms;
  wall += ms;
}
const answer = (at: number): void => noteDate(new Date(at).toUTCString(), running());

// The clock under test is one for the whole page: each test sets it by two answers, which leave it nothing to believe but the last.
beforeEach(() => {
  pass(60_000);
  answer(SERVICE);
  answer(SERVICE);
});

test("an answer's date is believed, however wrong the phone's clock is", () => {
  const seen = serviceNow() - SERVICE;
  assert.ok(seen >= 0 && seen <= 1000, String(seen));
  answer(SERVICE - 3_600_000);
  assert.equal(serviceNow(), SERVICE - 3_600_000 + 1000);
});

test("the phone counts on from the answer", () => {
  const before = serviceNow();
  pass(42_000);
  assert.equal(serviceNow() - before, 42_000);
});

test("a phone's clock that is set back moves nothing", () => {
  const before = serviceNow();
  wall -= 86_400_000;
  assert.equal(serviceNow(), before);
});

test("while the phone slept, its wall clock went on", () => {
  const before = serviceNow();
  wall += 600_000;
  assert.equal(serviceNow() - before, 600_000);
});

test("an answer that took long may have been made at any time since the call", () => {
  const before = serviceNow();
  const sentAt = running();
  pass(30_000);
  noteDate(new Date(before).toUTCString(), sentAt);
  assert.equal(serviceNow() - before, 30_000);
});

test("no date, or one that is none, changes nothing", () => {
  const before = serviceNow();
  noteDate(null, running());
  noteDate("yesterday", running());
  assert.equal(serviceNow(), before);
});

test("what was heard live moves the clock on and never back", () => {
  const before = serviceNow();
  noteAtLeast(before - 5000);
  assert.equal(serviceNow(), before);
  noteAtLeast(before + 5000);
  assert.equal(serviceNow(), before + 5000);
  assert.equal(now.value, before + 5000);
});
