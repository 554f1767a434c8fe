import assert from "node:assert/strict";
import { test } from "node:test";
import { cleanPhone, isCitizenId, isMobilePhone, isVinChecked, isVinShaped, plain } from "@/identifiers";

test("the standard's own citizen id holds, with a small x too", () => {
  assert.ok(isCitizenId("11010519491231002X"));
  assert.ok(isCitizenId("11010519491231002x"));
});

test("a citizen id with one digit wrong, a day that is none, or another length is refused", () => {
  for (let at = 0; at < 17; at++) {
    const digits = [..."11010519491231002X"];
    digits[at] = String((Number(digits[at]) + 1) % 10);
    assert.ok(!isCitizenId(digits.join("")), digits.join(""));
  }
  assert.ok(!isCitizenId("110105194902300021"));
  assert.ok(!isCitizenId("11010519491231002"));
});

test("a day that is none is refused although the check character fits", () => {
  const body = "11010519490230002";
  assert.deepEqual(
    [..."0123456789X"].filter((check) => isCitizenId(body + check)),
    [],
  );
});

test("a pasted phone number loses country, blanks, hyphens and invisible marks", () => {
  for (const pasted of [
    "+86 138-0013-8000",
    "0086 13800138000",
    "(138) 0013 8000",
    "\u202d138 0013 8000\u202c",
    "１３８００１３８０００",
  ])
    assert.equal(cleanPhone(pasted), "13800138000");
});

test("a number that begins with 86 of its own stays whole", () => assert.equal(cleanPhone("8610"), "8610"));

test("digits beyond a phone number's eleven are dropped", () =>
  assert.equal(cleanPhone("13800138000 5"), "13800138000"));

test("nobody was born before 1900", () => assert.ok(!isCitizenId("440524188001010014")));

test("only the mobile ranges are mobile phones", () => {
  assert.ok(isMobilePhone("13800138000"));
  for (const wrong of ["12800138000", "1380013800", "138001380000", "03800138000"]) assert.ok(!isMobilePhone(wrong));
});

test("a VIN has seventeen places without I, O and Q", () => {
  assert.ok(isVinShaped("LFWSRXSJ7M1E00001"));
  for (const wrong of ["LFWSRXSJ7M1E0000", "LFWSRXSJ7M1E0000I", "LFWSRXSJ7M1E0000O", "LFWSRXSJ7M1E0000Q"])
    assert.ok(!isVinShaped(wrong));
});

test("the ninth place of a VIN checks the others", () => {
  assert.ok(isVinChecked("1M8GDM9AXKP042788"));
  assert.ok(isVinChecked("11111111111111111"));
  assert.ok(!isVinChecked("1M8GDM9A1KP042788"));
  assert.ok(!isVinChecked("1M8GDM9AXKP042789"));
});

test("full width letters come out half width, without blanks", () =>
  assert.equal(plain(" ＬＦＷ\u200b \ufeff1 "), "LFW1"));
