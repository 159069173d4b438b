import assert from "node:assert/strict";
import { test } from "node:test";
import { Upload } from "../../static/js/uploads.js";

const PART = 4;

class Refusal extends Error {
  constructor(status, message = "no") {
    super(message);
    this.status = status;
  }
}

/** A server with one upload; `faults` are thrown by the next calls, by name. */
function server(size) {
  const parts = new Set();
  const count = Math.ceil(size / PART);
  const it = { state: "none", looks: 0, calls: [], faults: {}, outcome: { state: "ready" } };
  const shown = () => {
    const missing = [];
    if (it.state === "uploading")
      for (let number = 1; number <= count; number += 1)
        if (!parts.has(number)) missing.push({ number, offset: (number - 1) * PART, size: Math.min(PART, size - (number - 1) * PART), url: `p${number}` });
    return { id: "f_1", state: it.state, missing, ...(it.state === "done" ? it.outcome : {}) };
  };
  const call = (name, work) => async (...args) => {
    it.calls.push(name === "putPart" ? args[0] : name);
    const fault = it.faults[name]?.shift();
    if (fault) throw fault;
    return work(...args);
  };
  it.api = {
    beginMedia: call("beginMedia", (file) => {
      it.announced = file;
      it.state = "uploading";
      return shown();
    }),
    media: call("media", () => {
      if (it.state === "processing" && (it.looks += 1) > 1) it.state = "done";
      return shown();
    }),
    putPart: call("putPart", (url, blob) => {
      assert.equal(blob.size, Math.min(PART, size - (Number(url.slice(1)) - 1) * PART));
      parts.add(Number(url.slice(1)));
    }),
    completeMedia: call("completeMedia", () => {
      it.state = "processing";
      return shown();
    }),
    cancelMedia: call("cancelMedia", () => null),
  };
  return it;
}

function upload(it, size) {
  const file = new File([new Uint8Array(size)], "x.bin", { type: "a/b" });
  const states = [];
  const made = new Upload(file, { conv: "c_1", api: it.api, env: { setTimeout: (work) => setImmediate(work), random: () => 0 } });
  made.addEventListener("change", () => states.at(-1) !== made.state && states.push(made.state));
  return { made, states };
}

test("a file goes in parts, is looked at, and is ready", async () => {
  const it = server(10);
  const { made, states } = upload(it, 10);
  await made.run();
  assert.deepEqual(it.announced, { conversation: "c_1", name: "x.bin", size: 10, type: "a/b", voice: false, duration_ms: null });
  assert.deepEqual(it.calls.slice(0, 6), ["beginMedia", "p1", "p2", "p3", "media", "completeMedia"]);
  assert.deepEqual(states, ["uploading", "processing", "ready"]);
  assert.equal(made.progress, 1);
});

test("after a broken connection only what is missing goes again", async () => {
  const it = server(10);
  it.faults.putPart = [undefined, new Refusal(0), undefined, undefined];
  it.faults.media = [new Refusal(503)];
  const { made, states } = upload(it, 10);
  await made.run();
  assert.deepEqual(it.calls.filter((one) => one.startsWith("p")), ["p1", "p2", "p2", "p3"]);
  assert.equal(it.calls.filter((one) => one === "beginMedia").length, 1);
  assert.deepEqual(states, ["uploading", "waiting", "uploading", "processing", "ready"]);
});

test("what the server will not have fails, and says why", async () => {
  const it = server(10);
  it.faults.beginMedia = [new Refusal(413, "Too large.")];
  const { made } = upload(it, 10);
  await made.run();
  assert.deepEqual([made.state, made.error], ["failed", "Too large."]);
  it.outcome = { state: "refused", reason: "the picture is damaged" };
  await made.retry();
  assert.deepEqual([made.state, made.error], ["failed", "Refused: the picture is damaged."]);
});

test("one that is cancelled stops, and the server forgets it", async () => {
  const it = server(10);
  const { made, states } = upload(it, 10);
  made.addEventListener("change", () => made.progress > 0 && made.progress < 1 && made.cancel());
  await made.run();
  assert.ok(it.calls.includes("cancelMedia"));
  assert.ok(!it.calls.includes("completeMedia"));
  assert.notEqual(states.at(-1), "ready");
});

test("one that is cancelled while it waits ends at once", async () => {
  const it = server(10);
  it.faults.beginMedia = Array.from({ length: 99 }, () => new Refusal(0));
  const { made } = upload(it, 10);
  made.env.setTimeout = () => {};
  const running = made.run();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(made.state, "waiting");
  made.cancel();
  await running;
  assert.equal(it.calls.length, 1);
});
