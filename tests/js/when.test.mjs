import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldValue, fromField, presets } from "../../static/js/when.js";

const named = (now) => presets(now).map((one) => `${one.name} ${fieldValue(one.at)}`);

test("a weekday's morning has all of them", () => {
  // A Wednesday.
  assert.deepEqual(named(new Date(2026, 10, 25, 10, 30, 20)), ["hour 2026-11-25T11:31", "tonight 2026-11-25T20:00", "tomorrow 2026-11-26T09:00", "monday 2026-11-30T09:00"]);
});

test("late there is no evening left, and on a Sunday tomorrow is Monday", () => {
  assert.deepEqual(named(new Date(2026, 10, 29, 19, 0)), ["hour 2026-11-29T20:00", "tomorrow 2026-11-30T09:00"]);
});

test("on a Monday the next one is meant", () => {
  assert.equal(named(new Date(2026, 10, 30, 8, 0)).at(-1), "monday 2026-12-07T09:00");
});

test("a year ends in between", () => {
  assert.deepEqual(named(new Date(2026, 11, 31, 23, 30)).slice(0, 2), ["hour 2027-01-01T00:30", "tomorrow 2027-01-01T09:00"]);
});

test("a field says what it was given", () => {
  const date = new Date(2026, 2, 5, 7, 8);
  assert.equal(fieldValue(date), "2026-03-05T07:08");
  assert.deepEqual(fromField(fieldValue(date)), date);
  assert.equal(fromField(""), null);
});
