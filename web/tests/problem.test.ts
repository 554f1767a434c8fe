import assert from "node:assert/strict";
import { test } from "node:test";
import { asProblem, isJson, isStream, Problem, problemOf } from "@/api/problem";

const TYPE = "application/problem+json";
const response = (status: number, body: string, headers: Record<string, string> = { "Content-Type": TYPE }): Response =>
  new Response(body, { status, headers });
const ours = (code: string, more: object = {}): string =>
  JSON.stringify({ type: `urn:shouwang:problem:${code}`, code, detail: "说明", ...more });

test("the service's own refusal carries its code, its fields and its facts", async () => {
  const body = ours("invalid_input", { errors: [{ field: "vin", message: "车架号有误" }], binding_id: "b1" });
  const problem = await problemOf(response(422, body));
  assert.deepEqual([problem.status, problem.code, problem.detail], [422, "invalid_input", "说明"]);
  assert.equal(problem.of("vin"), "车架号有误");
  assert.equal(problem.of("plate"), "");
  assert.equal(problem.facts.binding_id, "b1");
  assert.ok(!problem.isPassing);
});

test("a portal's page is foreign whatever its status, and says nothing of what was asked for", async () => {
  for (const status of [200, 403, 404, 410, 511]) {
    const problem = await problemOf(response(status, "<html>", { "Content-Type": "text/html" }));
    assert.equal(problem.code, "foreign", String(status));
    assert.ok(problem.isPassing, String(status));
  }
});

test("a 410 of another's making does not end a share", async () => {
  for (const body of ['{"type":"about:blank","code":"ended"}', '{"code":"ended"}', "[]", "null", '{"type":"urn:sh'])
    assert.equal((await problemOf(response(410, body))).code, "foreign", body);
  const plainJson = response(410, ours("ended"), { "Content-Type": "application/json" });
  assert.equal((await problemOf(plainJson)).code, "foreign");
});

test("a proxy before a service that is down is told by its status", async () => {
  assert.equal((await problemOf(response(502, "", {}))).code, "http_502");
});

test("the service may ask for an hour of patience, others for a minute", async () => {
  const wait = (seconds: string): Record<string, string> => ({ "Content-Type": TYPE, "Retry-After": seconds });
  assert.equal((await problemOf(response(429, ours("too_many"), wait("90")))).retryAfterS, 90);
  assert.equal((await problemOf(response(429, ours("too_many"), wait("99999")))).retryAfterS, 3600);
  assert.equal((await problemOf(response(503, "", wait("99999")))).retryAfterS, 60);
  for (const none of ["-1", "0", "soon"])
    assert.equal((await problemOf(response(429, ours("too_many"), wait(none)))).retryAfterS, null, none);
});

test("the service's failures and floods pass, its refusals do not", () => {
  for (const [status, passes] of [
    [429, true],
    [500, true],
    [503, true],
    [400, false],
    [404, false],
    [410, false],
  ] as const)
    assert.equal(new Problem(status, "code", "").isPassing, passes, String(status));
});

test("what is no problem becomes one, and a problem stays itself", () => {
  const problem = new Problem(404, "not_found", "");
  assert.equal(asProblem(problem), problem);
  assert.equal(asProblem(new TypeError("x")).code, "unreadable");
});

test("a content type is known with its parameters, in any case", () => {
  const typed = (type: string): Response => response(200, "", { "Content-Type": type });
  assert.ok(isJson(typed("Application/JSON; charset=utf-8")));
  assert.ok(!isJson(typed("application/json-seq")));
  assert.ok(isStream(typed("text/event-stream;charset=utf-8")));
});
