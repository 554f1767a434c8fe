import "./browser";
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { forgetToken, holdLink, holdToken, linkTokens } from "@/api/links";
import { keptInTab } from "./browser";

const TOKEN = `s${"0123456789abcdef"}${"A-_z".repeat(8)}`;

beforeEach(() => {
  forgetToken("share");
  forgetToken("delegation");
});

test("a link is found in whatever a chat program glues to it", () => {
  for (const text of [
    `/s#${TOKEN}`,
    `https://example.org/s#${TOKEN}`,
    `看看我的车：https://example.org/s#${TOKEN}。24 小时有效`,
    `https://example.org/s/?from=singlemessage#${TOKEN}#wechat_redirect`,
    `https://example.org/s＃${TOKEN}）`,
    `https://example.org/s%23${TOKEN}%20`,
    `https%253A%252F%252Fexample.org%252Fs%2523${TOKEN}`,
    `/s#token=${TOKEN}`,
  ]) {
    forgetToken("share");
    assert.equal(holdLink(text), "share", text);
    assert.equal(linkTokens.share, TOKEN, text);
  }
});

test("a text without a link holds nothing", () => {
  for (const text of ["", "你好", "/x#abc", "/s#", "/s", "100%"]) assert.equal(holdLink(text), null, text);
  assert.equal(linkTokens.share + linkTokens.delegation, "");
});

test("the address loses its token, and the tab keeps it until it is forgotten", () => {
  const token = `d${TOKEN.slice(1)}`;
  assert.equal(holdToken("/d", `#${token}`), "/d");
  assert.equal(keptInTab("shouwang.link.delegation"), token);
  forgetToken("delegation");
  assert.equal(linkTokens.delegation, "");
  assert.equal(keptInTab("shouwang.link.delegation"), null);
});

test("the fragment of any other page is left alone", () => {
  assert.equal(holdToken("/driver", `#${TOKEN}`), null);
  assert.equal(holdToken("/share", `#${TOKEN}`), null);
  assert.equal(linkTokens.share, "");
});
