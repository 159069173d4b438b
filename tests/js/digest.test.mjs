import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Digest, sentence } from "../../static/js/digest.js";

let said;
let digest;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  said = [];
  digest = new Digest((came) => said.push(Object.fromEntries([...came].map(([conv, { count }]) => [conv, count]))));
});

/** Let time pass in steps: of what is set within one, the clock knows only its end. */
function pass(ms) {
  for (let gone = 0; gone < ms; gone += 100) mock.timers.tick(100);
}

test("a message is said a moment later, and what was said goes after a while", () => {
  digest.add("c_1", "u_1");
  pass(900);
  assert.deepEqual(said, []);
  pass(100);
  assert.deepEqual(said, [{ c_1: 1 }]);
  pass(60_000);
  assert.deepEqual(said, [{ c_1: 1 }, {}]);
});

test("a busy group is heard every few seconds, and nothing of it is left out", () => {
  // Ten a second, for half a minute.
  for (let at = 0; at < 300; at += 1) {
    digest.add("c_1", "u_1");
    pass(100);
  }
  assert.equal(said.length, 6);
  pass(10_000);
  assert.deepEqual(said.at(-1), {});
  assert.equal(said.reduce((sum, one) => sum + (one.c_1 ?? 0), 0), 300);
});

test("what comes together is one sentence, and after a pause it begins anew", () => {
  digest.add("c_1", "u_1");
  digest.add("c_2", "u_1");
  digest.add("c_1", "u_2");
  pass(6_000);
  digest.add("c_2", "u_1");
  pass(1_000);
  assert.deepEqual(said, [{ c_1: 2, c_2: 1 }, {}, { c_2: 1 }]);
});

test("sentences", () => {
  const team = { title: "Team", from: "Ann", count: 1 };
  const ben = { title: "Ben", from: null, count: 1 };
  assert.equal(sentence([team]), "Ann: new message in Team");
  assert.equal(sentence([{ ...team, count: 3 }]), "3 new messages in Team");
  assert.equal(sentence([ben]), "New message from Ben");
  assert.equal(sentence([{ ...ben, count: 2 }]), "2 new messages from Ben");
  assert.equal(sentence([ben, { ...team, count: 4 }]), "5 new messages: Ben and Team");
  assert.equal(sentence([ben, team, ben, team]), "4 new messages: Ben, Team, Ben, and others");
});
