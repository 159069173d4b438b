"""How quick the page is, in a headless Chromium: ``python -m bench page``.

One person has many conversations, one of them long. Measured are a warm start, with a connection and without one,
going from one conversation to another, the time from Enter to the message on the screen, and scrolling up through the
long one.
"""

import shutil
import statistics
import sys
import time
import uuid
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.stack import EmbeddedStack, StackFailed

_FAILED: Final = 2
_PASSWORD: Final = "correct-horse-7"
#: Who else is in each group.
_OTHERS: Final = 9
#: How many messages go over one socket.
_CHUNK: Final = 1_000
_PATIENCE_MS: Final = 600_000

_FILL: Final = """async ([conv, from, to]) => {
    const socket = new WebSocket(`ws://${location.host}/ws`, ["chat.v1.json"]);
    const waiting = new Set();
    await new Promise((resolve, reject) => {
        socket.onclose = reject;
        socket.onmessage = ({data}) => {
            const frame = JSON.parse(data);
            if (frame.op === "ready") for (let number = from; number < to; number += 1) {
                const msg_id = crypto.randomUUID();
                waiting.add(msg_id);
                const more = " and some words beside it".repeat(number % 7);
                socket.send(JSON.stringify({op: "send", msg_id, conv, body: `no. ${number}${more}`}));
            }
            if (frame.op === "ack") waiting.delete(frame.msg_id);
            if (frame.op === "ack" && !waiting.size) resolve();
        };
    });
    socket.onclose = null;
    socket.close();
}"""

#: Runs in the page before anything else: notes when the list can be used.
_USABLE: Final = """
new MutationObserver((_, watcher) => {
    if (!document.querySelector(".conversations .conversation")) return;
    watcher.disconnect();
    requestAnimationFrame(() => requestAnimationFrame((now) => { globalThis.usableAt = now; }));
}).observe(document, {childList: true, subtree: true});
"""

#: From the click, once the page is idle, to the first frame that shows the other conversation's messages.
_SWITCH: Final = """async (conv) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    await frame();
    await new Promise((resolve) => requestIdleCallback(resolve, {timeout: 1_000}));
    const from = performance.now();
    document.querySelector(`.conversation[href="#${conv}"]`).click();
    const there = () => location.hash === `#${conv}` && document.querySelector("message-list .message");
    const first = document.querySelector("message-list .message");
    while (!there() || document.querySelector("message-list .message") === first) {
        await frame();
        if (performance.now() - from > 20_000) throw new Error("nothing was shown");
    }
    await frame();
    return performance.now() - from;
}"""

_VISIT: Final = """async (conv) => {
    location.hash = conv;
    const from = performance.now();
    const open = () => document.querySelector(".conversation[aria-current]")?.getAttribute("href") === `#${conv}`;
    while (!open() || !document.querySelector("message-list .message")) {
        await new Promise((resolve) => requestAnimationFrame(resolve));
        if (performance.now() - from > 20_000) throw new Error(`${conv} was not shown`);
    }
}"""

_SEND: Final = """async (text) => {
    const field = document.querySelector(".composer textarea");
    field.value = text;
    field.dispatchEvent(new Event("input", {bubbles: true}));
    const from = performance.now();
    field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}));
    const last = () => [...document.querySelectorAll("message-list .message")].at(-1)?.textContent ?? "";
    while (!last().includes(text)) await new Promise((resolve) => requestAnimationFrame(resolve));
    return performance.now() - from;
}"""

#: Scrolls up by so many pixels a frame until so many messages were passed; a blank frame has no message in view.
_SCROLL: Final = """async ([messages, step]) => {
    const scroller = document.querySelector("message-list .scroller");
    const rows = document.querySelector("message-list .rows");
    const passed = new Set();
    const seen = {frames: 0, blank: 0, longest_ms: 0, over_50_ms: 0, most_rows: 0, most_heap_mb: 0, waited_ms: 0};
    let before = performance.now();
    const began = before;
    while (passed.size < messages && performance.now() - began < 540_000) {
        const at = scroller.scrollTop;
        scroller.scrollTop -= step;
        const now = await new Promise((resolve) => requestAnimationFrame(resolve));
        seen.frames += 1;
        seen.longest_ms = Math.max(seen.longest_ms, now - before);
        if (now - before > 50) seen.over_50_ms += 1;
        // At the upper end older ones are on their way.
        if (at === 0) seen.waited_ms += now - before;
        before = now;
        const {top, bottom} = scroller.getBoundingClientRect();
        let shown = 0;
        for (const row of rows.querySelectorAll(".message")) {
            const box = row.getBoundingClientRect();
            if (box.bottom > top && box.top < bottom) {
                shown += 1;
                passed.add(row.dataset.message);
            }
        }
        if (!shown) seen.blank += 1;
        seen.most_rows = Math.max(seen.most_rows, rows.childElementCount);
        seen.most_heap_mb = Math.max(seen.most_heap_mb, (performance.memory?.usedJSHeapSize ?? 0) / 2 ** 20);
    }
    return {...seen, passed: passed.size, seconds: (performance.now() - began) / 1_000};
}"""


class PageReport(msgspec.Struct):
    """What was measured; times in milliseconds, medians and the worst of the runs."""

    conversations: int
    messages: int
    each: int
    runs: int
    warm_start_ms: tuple[float, float]
    offline_start_ms: tuple[float, float]
    switch_ms: tuple[float, float]
    switch_to_long_ms: tuple[float, float]
    send_ms: tuple[float, float]
    scroll: dict[str, float]


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command line says of it."""
    parser.add_argument("--conversations", type=int, default=200, help="besides the long one")
    parser.add_argument("--messages", type=int, default=100_000, help="of the long one")
    parser.add_argument("--each", type=int, default=60, help="messages of each of the others")
    parser.add_argument("--scroll", type=int, default=20_000, help="messages that are scrolled through")
    parser.add_argument("--step", type=int, default=400, help="pixels of scrolling in each frame")
    parser.add_argument("--runs", type=int, default=7, help="how often each time is taken")
    parser.add_argument(
        "--slower", type=float, default=1, help="switch, send and scroll so many times slower, as on a phone"
    )
    parser.add_argument("--json", type=Path, help="write the report there, too")


def run(args: Namespace) -> int:
    """Measure, print and return the exit code."""
    stack = EmbeddedStack()
    try:
        stack.prepare({"accounts": _OTHERS, "conversations": [], "hot": {}})
        stack.start()
        report = _measure(stack, args)
    except StackFailed as error:
        print(error, file=sys.stderr)
        return _FAILED
    finally:
        stack.stop()
    for field in report.__struct_fields__:
        print(f"{field:20} {_said(getattr(report, field))}")
    if args.json is not None:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 0


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return f"median {value[0]:.0f}, worst {value[1]:.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:.0f}" for name, number in value.items())
    return str(value)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return round(statistics.median(values), 1), round(max(values), 1)


def _measure(stack: EmbeddedStack, args: Namespace) -> PageReport:
    from playwright.sync_api import sync_playwright

    [address] = stack.addresses
    url = f"http://{address.host}:{address.port}"
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise StackFailed("there is no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(_PATIENCE_MS)
        _sign_up(context, url)
        page = context.new_page()
        # Not the chat itself: it would keep all that is said, as it comes.
        page.goto(f"{url}/settings/")
        long, others = _fill(page, args)
        page.goto(url)
        _online(page)
        # The browser keeps what the page has shown; from the second start on it is warm.
        for conv in [*others, long]:
            page.evaluate(_VISIT, conv)
        page.evaluate("location.hash = ''")
        page.wait_for_function("() => Boolean(navigator.serviceWorker.controller)")
        page.wait_for_timeout(2_000)
        page.close()
        warm = [_start(context, url) for _ in range(args.runs)]
        page = context.new_page()
        page.goto(url)
        _online(page)
        page.wait_for_timeout(2_000)
        context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": args.slower})
        switches = [page.evaluate(_SWITCH, conv) for conv in others[: args.runs + 1]][1:]
        to_long = []
        for conv in others[: args.runs]:
            to_long.append(page.evaluate(_SWITCH, long))
            page.evaluate(_SWITCH, conv)
        page.evaluate(_SWITCH, long)
        sends = [page.evaluate(_SEND, f"said now {uuid.uuid4()}") for _ in range(args.runs)]
        scroll = page.evaluate(_SCROLL, [min(args.scroll, args.messages), args.step])
        page.close()
        stack.stop_server()
        offline = [_start(context, url) for _ in range(args.runs)]
        browser.close()
    return PageReport(
        conversations=args.conversations,
        messages=args.messages,
        each=args.each,
        runs=args.runs,
        warm_start_ms=_spread(warm),
        offline_start_ms=_spread(offline),
        switch_ms=_spread(switches),
        switch_to_long_ms=_spread(to_long),
        send_ms=_spread(sends),
        scroll={name: round(value, 1) for name, value in scroll.items()},
    )


def _sign_up(context: Any, url: str) -> None:
    signup = f"{url}/accounts/signup/"
    context.request.get(signup)
    token = next(one["value"] for one in context.cookies() if one["name"] == "csrftoken")
    form = {"username": "reader", "password1": _PASSWORD, "email": "", "csrfmiddlewaretoken": token}
    if context.request.post(signup, form=form, max_redirects=0).status != 302:
        raise StackFailed("nobody could sign up")


def _online(page: Any) -> None:
    page.wait_for_selector("#app[data-connection=online]")


def _fill(page: Any, args: Namespace) -> tuple[str, list[str]]:
    """Make the conversations, groups; return the long one and the others."""
    made = page.evaluate(
        """async (count) => {
            const token = document.cookie.split("; ").find((one) => one.startsWith("csrftoken=")).slice(10);
            const headers = {"Content-Type": "application/json", "X-CSRFToken": token};
            const found = await (await fetch("/v1/users?q=bench-")).json();
            const members = found.results.map((one) => one.id);
            const ids = [];
            for (let number = 0; number <= count; number += 1) {
                const body = JSON.stringify({type: "group", name: `Group ${number}`, members});
                const answer = await fetch("/v1/conversations", {method: "POST", headers, body});
                ids.push((await answer.json()).id);
            }
            return ids;
        }""",
        args.conversations,
    )
    long, *others = made
    began = time.monotonic()
    for first in range(0, args.messages, _CHUNK):
        page.evaluate(_FILL, [long, first, min(args.messages, first + _CHUNK)])
    for conv in others:
        page.evaluate(_FILL, [conv, 0, args.each])
    print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return long, others


def _start(context: Any, url: str) -> float:
    """Return the milliseconds from asking for the page until its list can be used."""
    page = context.new_page()
    page.add_init_script(_USABLE)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => globalThis.usableAt")
    took = float(page.evaluate("globalThis.usableAt"))
    page.wait_for_timeout(500)
    page.close()
    return took
