import "./browser";
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Problem } from "@/api/problem";
import type { Alert } from "@/api/types";
import {
  ageOf,
  ago,
  alertTitle,
  certificateState,
  civilDay,
  clockTime,
  dateTime,
  distance,
  heading,
  isOnline,
  monthDay,
  problemText,
  remaining,
  span,
  speed,
  staleText,
} from "@/format";
import { chooseLanguage } from "@/i18n";

afterEach(() => chooseLanguage("zh"));

const NOW = Date.parse("2026-11-22T06:05:00Z");
const MINUTE = 60_000;
const after = (minutes: number): string => new Date(NOW + minutes * MINUTE).toISOString();

test("times are China's, whatever the phone's zone: these tests run in New York's", () => {
  assert.equal(new Date(NOW).getHours(), 1);
  assert.equal(clockTime(NOW), "14:05");
  assert.equal(clockTime("2026-11-22T16:30:00Z"), "00:30");
  assert.equal(monthDay("2026-11-22T16:30:00Z"), "11月23日");
});

test("the year stands only where it is another than this one", () => {
  assert.match(dateTime("2001-02-03T04:05:00Z"), /^2001年2月3日\s*12:05$/);
  assert.doesNotMatch(dateTime(Date.now()), /年/);
});

test("a civil day is that day, in no zone another", () => assert.equal(civilDay("2027-03-01"), "2027年3月1日"));

test("spans carry their minutes into hours", () => {
  assert.equal(span(59 * 60), "59 分钟");
  assert.equal(span(3_599), "1 小时 0 分");
  assert.equal(span(3 * 3600 + 5 * 60), "3 小时 5 分");
});

test("what is past is told in its largest unit, and nothing is in the future", () => {
  const said = [-5, 4, 5, 59, 60, 3599, 3600, 48 * 3600 - 1, 48 * 3600].map(ago);
  const wanted = ["刚刚", "刚刚", "5 秒前", "59 秒前", "1 分钟前", "59 分钟前", "1 小时前", "47 小时前", "2 天前"];
  assert.deepEqual(said, wanted);
});

test("what remains counts a begun minute whole, drops hours after ten days, and never goes below nothing", () => {
  const said = [-5, 0.1, 23 * 60 + 59, 24 * 60, 24 * 60 + 1, 10 * 1440, 10 * 1440 + 1].map((m) =>
    remaining(after(m), NOW),
  );
  const wanted = ["0 分钟", "1 分钟", "23 小时 59 分", "1 天", "1 天 1 小时", "10 天", "11 天"];
  assert.deepEqual(said, wanted);
});

test("courses are named by the nearest of eight headings, past north too", () => {
  assert.equal(heading(0), heading(359));
  assert.equal(heading(-1), heading(360));
  assert.equal(heading(22), "向北");
  assert.equal(heading(23), "向东北");
  assert.equal(heading(337), "向西北");
});

test("figures are rounded as people say them", () => {
  assert.equal(speed(79.6), "80 公里/小时");
  assert.equal(distance(12.34), "12.3 km");
  assert.equal(distance(1234.5), "1,235 km");
});

test("an alert keeps the service's Chinese title, and has an English one of ours", async () => {
  const alert = { kind: "speeding", title: "疑似超速", source: "platform" } as Alert;
  assert.equal(alertTitle(alert), "疑似超速");
  await chooseLanguage("en");
  assert.equal(alertTitle(alert), "Suspected: speeding");
  assert.equal(alertTitle({ ...alert, source: "terminal" } as Alert), "Speeding");
});

test("a certificate on its last day expires today, and one that expired did so a day ago at least", () => {
  assert.equal(certificateState({ state: "expiring", days_left: 0 }), "今天到期");
  assert.equal(certificateState({ state: "expiring", days_left: 3 }), "还有 3 天到期");
  assert.equal(certificateState({ state: "expired", days_left: 0 }), "已过期 1 天");
});

test("a problem is told in the service's words, else by its code, else by its status", async () => {
  assert.equal(problemText(new Problem(409, "already_bound", "此车已由您绑定")), "此车已由您绑定");
  assert.equal(problemText(new Problem(409, "already_bound", "")), "此车已经绑定");
  assert.equal(problemText(new Problem(429, "unheard_of", "", [], 7)), "操作太频繁，请 7 秒后再试");
  assert.equal(problemText(new Problem(502, "http_502", "")), "服务暂时繁忙，请稍后重试");
  assert.equal(problemText(new Problem(400, "unheard_of", "")), "没能完成，请稍后重试");
  await chooseLanguage("en");
  assert.doesNotMatch(problemText(new Problem(409, "already_bound", "此车已由您绑定")), /[一-龥]/);
});

test("why something may be old tells the phone's line from the service", () => {
  assert.match(staleText(new Problem(0, "network", "")), /手机连不上/);
  assert.match(staleText(new Problem(503, "http_503", "")), /服务暂时没有回应/);
});

test("a fix is as old as the service said, or older by its own time", () => {
  assert.equal(ageOf({ time: after(-1), age_s: 90 }, NOW), 90);
  assert.equal(ageOf({ time: after(-2), age_s: 90 }, NOW), 120);
});

test("online holds for ten minutes of the fix and no longer (R32); offline and unknown stay", () => {
  const fix = { time: after(0) };
  assert.equal(isOnline(true, fix, NOW + 599_000), true);
  assert.equal(isOnline(true, fix, NOW + 600_000), false);
  assert.equal(isOnline(false, fix, NOW), false);
  assert.equal(isOnline(null, fix, NOW), null);
});
