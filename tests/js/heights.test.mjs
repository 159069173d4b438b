import assert from "node:assert/strict";
import { test } from "node:test";
import { Heights } from "../../static/js/heights.js";

const rows = (...keys) => keys.map((key) => ({ key }));
const made = (...keys) => {
  const heights = new Heights(() => 10);
  heights.rows = rows(...keys);
  return heights;
};
const tops = (heights, count) => Array.from({ length: count + 1 }, (_, at) => heights.top(at));

test("a row that was never painted is as high as is guessed, one that was, as was measured", () => {
  const heights = made("a", "b", "c");
  assert.deepEqual(tops(heights, 3), [0, 10, 20, 30]);
  assert.equal(heights.measured(1, 25), true);
  assert.deepEqual(tops(heights, 3), [0, 10, 35, 45]);
  assert.equal(heights.measured(1, 25.2), false);
});

test("what was measured goes with its row, wherever that comes to be", () => {
  const heights = made("b");
  heights.measured(0, 25);
  heights.rows = rows("a", "b");
  assert.deepEqual(tops(heights, 2), [0, 10, 35]);
  heights.forget();
  assert.deepEqual(tops(heights, 2), [0, 10, 20]);
});

test("a place has a row: the one that begins there, or before; outside, the first or the last", () => {
  const heights = made("a", "b", "c");
  heights.measured(1, 30);
  assert.deepEqual([-5, 0, 9, 10, 39, 40, 1_000].map((px) => heights.at(px)), [0, 0, 0, 1, 1, 2, 2]);
});
