import assert from "node:assert/strict";
import { test } from "node:test";
import { dayLabel, eventText, lastSeen, listTime, span, typingText } from "../../static/js/format.js";

const MINUTE = 60_000;
const NOW = new Date(2026, 5, 17, 15, 30).getTime();
const at = (daysAgo, hour = 12) => new Date(2026, 5, 17 - daysAgo, hour).getTime();

test("days go by the calendar, not by twenty-four hours", () => {
  assert.equal(dayLabel(at(0, 0), NOW), "Today");
  assert.equal(dayLabel(at(1, 23), NOW), "Yesterday");
  assert.match(dayLabel(at(6), NOW), /day$/u);
  assert.match(dayLabel(at(7), NOW), /2026/u);
  assert.equal(listTime(at(1), NOW), "Yesterday");
});

test("somebody was last seen just now, minutes ago, today, yesterday, on a day", () => {
  assert.equal(lastSeen(NOW - 30_000, NOW), "last seen just now");
  assert.equal(lastSeen(NOW - 5 * MINUTE, NOW), "last seen 5 min ago");
  assert.match(lastSeen(at(0, 9), NOW), /^last seen today at /u);
  assert.match(lastSeen(at(1), NOW), /^last seen yesterday at /u);
  assert.match(lastSeen(at(40), NOW), /^last seen .*2026/u);
});

test("who types is named, and many are counted", () => {
  assert.equal(typingText(["Ann"]), "Ann is typing…");
  assert.equal(typingText(["Ann", "Bob"]), "Ann and Bob are typing…");
  assert.equal(typingText(["Ann", "Bob", "Cleo"]), "3 people are typing…");
  assert.equal(span(86_400), "1 day");
  assert.equal(span(7 * 86_400), "7 days");
  assert.equal(span(90), "90 seconds");
});

test("every change of a group is a sentence, with the reader as you", () => {
  const name = (id, start) => (id === "me" ? (start ? "You" : "you") : id);
  const told = (event, from = "Ann") => eventText({ from, event }, name, "me");
  assert.equal(told({ type: "created", users: ["Ann", "me"], name: "Hikers" }), "Ann created the group “Hikers”");
  assert.equal(told({ type: "created", users: ["Ann", "me"] }, "me"), "You started the conversation");
  assert.equal(told({ type: "member_added", users: ["me", "Bob"] }), "Ann added you and Bob");
  assert.equal(told({ type: "member_added", users: ["Ann"] }), "Ann joined");
  assert.equal(told({ type: "picture_set" }, "me"), "You changed the group's picture");
  assert.equal(told({ type: "member_removed", users: ["me"] }), "Ann removed you");
  assert.equal(told({ type: "member_left", users: ["Ann"] }), "Ann left");
  assert.equal(told({ type: "role_changed", users: ["Bob"], role: "admin" }), "Ann made Bob an admin");
  assert.equal(told({ type: "renamed", name: "Ramblers" }), "Ann renamed the group to “Ramblers”");
  assert.equal(told({ type: "of a later version" }), "The group changed");
});
