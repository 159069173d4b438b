/**
 * What is to be sent later: chosen at the button that sends, kept by the server, listed above the field. Loaded when there is
 * nothing else to do.
 */
import { attached } from "./attach.js";
import * as api from "./api.js";
import { el, icon, style } from "./dom.js";
import { clock, moment, sameDay } from "./format.js";
import { _, n, refusal } from "./i18n.js";
import { state, view } from "./model.js";
import { mentionsOfText } from "./names.js";
import { $, composer, confirm, summon, toast } from "./page.js";
import { events } from "./sync.js";
import { NAMES, presets } from "./when.js";

const PRESS_MS = 450;
/** After its time a message is sent within seconds; then one looks what became of it, and once more. */
const LOOK_MS = 5_000;
const AGAIN_MS = 20_000;
/** A timer takes no more. */
const MOST_MS = 2 ** 31 - 1;
const DAYS = 120;

/** Conversation -> what is to be sent there, the next one first. */
let all = new Map();
let timer = null;

const here = () => all.get(view.active) ?? [];
const url = (id = "", act = "") => ["scheduled", id, act].filter(Boolean).join("/");

// --- what the server has -----------------------------------------------------------------------------

function take(rows) {
  all = new Map();
  for (const row of rows) all.set(row.conversation, [...(all.get(row.conversation) ?? []), row]);
  paint();
  clearTimeout(timer);
  const now = Date.now();
  const next = Math.min(...rows.filter((row) => row.state !== "failed").map((row) => Date.parse(row.send_at)));
  if (next !== Infinity) timer = setTimeout(load, Math.min(MOST_MS, next > now ? next - now + LOOK_MS : AGAIN_MS));
}

async function load() {
  try {
    take((await api.call("GET", url())).results);
  } catch {
    // The next connection asks again.
  }
}

/** Do something to one of them, and show what there is then; what is refused is told. */
async function act(work) {
  try {
    await work;
  } catch (error) {
    toast(error.message);
  }
  await load();
}

// --- to schedule -------------------------------------------------------------------------------------

async function schedule(at) {
  const conv = view.active;
  const written = composer.written;
  if (!written) return;
  const body = { conversation: conv, msg_id: crypto.randomUUID(), send_at: at.toISOString(), media: attached.ids, mentions: mentionsOfText(state.convs[conv], written.body), ...written };
  try {
    await api.call("POST", url(), body);
  } catch (error) {
    toast(error.message);
    return;
  }
  // What was written on meanwhile, or elsewhere, stays.
  if (view.active === conv && composer.written?.body === written.body) {
    if (body.media.length) attached.take();
    composer.clear();
    composer.focus();
  }
  await load();
}

/** What the menu has, by its names. */
let offered = new Map();
const words = ({ words: name, at }) => _("{day}, {time}", { day: name, time: clock(at) });

async function offer(at) {
  if (!composer.written) return;
  if (state.convs[view.active]?.encrypted) return;
  const menu = await summon("later-menu");
  offered = new Map(presets(new Date()).map((one) => [one.name, one]));
  menu.offer([...[...offered.values()].map((one) => [one.name, words(one), "clock"]), ["choose", _("Choose a time…"), "pencil"]], at);
}

async function choose() {
  const [{ at }] = presets(new Date());
  const chosen = await (await summon("time-dialog")).ask({ title: _("Send later"), action: _("Schedule"), at, days: DAYS });
  if (chosen) await schedule(chosen.at);
}

// --- the list ----------------------------------------------------------------------------------------

const why = (row) => (row.code ? api.sentence(refusal(row)) : "");
const text = (row) => row.body || n("{count} file", "{count} files", row.media.length);
const shown = () => here().map((row) => ({ ...row, text: text(row), detail: why(row) }));
let list = null;

async function openList() {
  if (!list) {
    list = await summon("scheduled-dialog");
    list.addEventListener("edit", ({ detail }) => edit(detail).catch((error) => toast(error.message)));
    list.addEventListener("now", ({ detail }) => act(api.call("POST", url(detail, "send"))));
    list.addEventListener("remove", ({ detail }) => remove(detail).catch((error) => toast(error.message)));
  }
  list.show(shown(), { open: true });
}

async function edit(id) {
  const row = here().find((one) => one.id === id);
  if (!row) return;
  const at = new Date(Math.max(Date.parse(row.send_at), Date.now() + 60_000));
  const changed = await (await summon("time-dialog")).ask({ title: _("Scheduled message"), action: _("Save"), at, days: DAYS, text: row.body, empty: row.media.length > 0 });
  if (!changed) return;
  const mentions = mentionsOfText(state.convs[row.conversation], changed.text);
  await act(api.call("PATCH", url(id), { body: changed.text, mentions, send_at: changed.at.toISOString() }));
}

async function remove(id) {
  if (await confirm.ask({ title: _("Delete this message?"), text: _("It will not be sent."), action: _("Delete") })) await act(api.call("DELETE", url(id)));
}

// --- the bar -----------------------------------------------------------------------------------------

const bar = el("button", { className: "scheduled-bar", type: "button", hidden: true, onclick: () => openList().catch((error) => toast(error.message)) });

/** When, as short as it is clear. */
const soon = (at) => (sameDay(at, Date.now()) ? clock(at) : moment(at));

function paint() {
  const rows = here();
  bar.hidden = !rows.length;
  if (list?.open) list.show(shown());
  if (!rows.length) return;
  const failed = rows.filter((row) => row.state === "failed").length;
  bar.classList.toggle("failed", failed > 0);
  const [next] = rows;
  const told = failed ? n("{count} message was not sent", "{count} messages were not sent", failed) : n("{count} scheduled message", "{count} scheduled messages", rows.length);
  const more = failed ? why(rows.find((row) => row.state === "failed")) : soon(Date.parse(next.send_at));
  bar.replaceChildren(icon(failed ? "alert" : "clock"), el("span", { "aria-live": "polite" }, el("strong", {}, told), ` · ${more}`));
}

/** Begin: `changed` tells that the page is painted anew, with another conversation perhaps. */
export async function begin() {
  await style("later");
  $("thread").insertBefore(bar, composer);
  window.addEventListener("hashchange", () => setTimeout(paint));
  events.addEventListener("ready", load);
  events.addEventListener("scheduled", load);
  events.addEventListener("mine", ({ detail }) => here().some((row) => row.msg_id === detail.msg_id) && load());
  const menu = await summon("later-menu");
  for (const name of NAMES) menu.addEventListener(name, () => schedule(offered.get(name).at));
  menu.addEventListener("choose", () => choose().catch((error) => toast(error.message)));
  const button = composer.button;
  const open = () => offer(button).catch((error) => toast(error.message));
  $("later").addEventListener("click", open);
  button.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    if (event.pointerType !== "touch") open();
  });
  let press = null;
  const held = () => {
    // The finger that is lifted then taps nothing, least of all what has just come up under it.
    button.addEventListener("touchend", (lifted) => lifted.preventDefault(), { once: true, passive: false });
    open();
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") press = setTimeout(held, PRESS_MS);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(end, () => clearTimeout(press));
  await load();
}
