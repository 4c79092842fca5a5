"""The report in a real browser: it renders, fits a phone, filters, follows links, and runs no script but its own.

Drives Chromium over its debugging protocol; skipped where there is none.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from thinkscore.data import judgment_row, write_rows
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.report.page import write_report
from thinkscore.types import Case, Criterion

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")]

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
FLAGS += ["--remote-debugging-port=0", "about:blank"]
EVIL = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 2'> \u202eback " + "W" * 500
SHOWN = "[...document.querySelectorAll('.case')].filter(c => c.checkVisibility()).map(c => c.dataset.fate)"


class Tab:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._calls = socket, 0
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **arguments: Any) -> Any:
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": arguments})
        while True:
            answer = await self._socket.receive_json(timeout=60)
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    async def run(self, code: str) -> Any:
        """Evaluate an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def open(self, page: Path, width: int = 1280, scheme: str = "light") -> None:
        """Open a file and wait until it is loaded."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=850, deviceScaleFactor=1, mobile=False
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.call("Page.navigate", url=page.as_uri())
        while await self.run("document.readyState") != "complete":  # no promise: scripts may be disabled
            await asyncio.sleep(0.02)

    async def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def problems(self) -> list[dict[str, Any]]:
        """List errors, warnings, dialogs, and requests for anything but the page."""
        bad = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening"}
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [e for e in self.events if e["method"] in bad] + [{"url": u} for u in asked if not u.startswith("file:")]


def in_browser(folder: Path, visit: Callable[[Tab], Awaitable[None]]) -> None:
    """Start a browser, visit, and hold the visit to no problems."""

    async def drive(port: str) -> None:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/json") as answer:
                pages = [tab for tab in await answer.json() if tab["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.call(f"{domain}.enable")
                await visit(tab)
                assert tab.problems() == []

    profile = folder / "profile"
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            asyncio.run(drive(_port(profile / "DevToolsActivePort")))
        finally:
            browser.terminate()


def _port(file: Path) -> str:
    for _ in range(600):
        if file.exists() and "\n" in file.read_text():
            return file.read_text().splitlines()[0]
        time.sleep(0.1)
    raise TimeoutError("the browser did not start")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on lab pairs with rubrics and quotes; every third is wrong, the first one hostile."""
    folder = tmp_path_factory.mktemp("report")
    with Judge("rm_r1", "oracle:", "vote:k=3") as judge:
        pairs = list(judge.run(world.make(5, "test", 30)))
    cases: list[Case] = []
    with write_rows(folder / "rows.jsonl") as put:
        for i, (case, judgment) in enumerate(pairs):
            if i == 0:
                trace = msgspec.structs.replace(judgment.verdicts[0].trace, rubric=(Criterion(EVIL, weight=1),))
                verdict = msgspec.structs.replace(judgment.verdicts[0], trace=trace)
                judgment = msgspec.structs.replace(judgment, verdicts=(verdict, *judgment.verdicts[1:]))
                case = msgspec.structs.replace(
                    case, id=EVIL, candidates=(EVIL, EVIL), tags={"family": EVIL, EVIL: EVIL}
                )
            if i % 3 == 2 and judgment.winner is not None and judgment.scores is not None:
                judgment = msgspec.structs.replace(judgment, scores=judgment.scores[::-1], winner=1 - judgment.winner)
            put(judgment_row(case, judgment))
            cases.append(case)
    write_report(folder / "rows.jsonl", folder / "report.html", lambda: cases)
    return folder / "report.html"


def test_it_renders_at_every_width_and_scheme_and_runs_no_other_script(tmp_path: Path, page: Path) -> None:
    async def visit(tab: Tab) -> None:
        grounds = set()
        for width in (390, 1280):
            for scheme in ("light", "dark"):
                await tab.open(page, width, scheme)
                await tab.run("for (const item of document.querySelectorAll('details')) item.open = true")
                assert await tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
                assert (
                    await tab.run("typeof window.hit + document.images.length + document.scripts.length")
                    == "undefined01"
                )
                grounds.add((scheme, await tab.run("getComputedStyle(document.body).backgroundColor")))
                assert (
                    await tab.run("Math.min(...[...document.querySelectorAll('svg.chart')].map(s => s.clientHeight))")
                    > 150
                )
                assert len(await tab.run(SHOWN)) == 30
        assert len(grounds) == len({ground for _, ground in grounds}) == 2

    in_browser(tmp_path, visit)


def test_the_filter_shows_what_is_asked_for(tmp_path: Path, page: Path) -> None:
    async def choose(tab: Tab, name: str, label: str) -> Sequence[str]:
        """Choose an option, or type a text, as a user's input arrives; return what became of the cases shown."""
        return await tab.run(
            f"(() => {{ const field = [...document.querySelectorAll('#filter label')]"
            f".find(l => l.textContent.trim().startsWith({name!r})).querySelector('select, input');"
            f"field.value = field.tagName === 'INPUT' ? {label!r} : [...field.options]"
            f".find(o => o.text.startsWith({label!r})).value;"
            f"field.dispatchEvent(new Event('input', {{bubbles: true}})); return {SHOWN} }})()"
        )

    async def visit(tab: Tab) -> None:
        await tab.open(page)
        assert await choose(tab, "Outcome", "wrong") == ["wrong"] * 10
        assert await tab.run("document.getElementById('count').textContent") == "10 of 30 shown"
        chat = await choose(tab, "family", "chat")
        assert 0 < len(chat) < 10
        assert await choose(tab, "Outcome", "all") > chat
        assert await choose(tab, "Text", "NOWHERE to be found") == []
        assert await tab.run("document.getElementById('none').checkVisibility()")
        await tab.run("document.querySelector('#filter button').click()")
        await tab.run("new Promise(done => setTimeout(done, 50))")
        assert len(await tab.run(SHOWN)) == 30
        assert await choose(tab, "Text", "WINDOW.hit") == ["right"]

    in_browser(tmp_path, visit)


def test_the_keyboard_opens_a_case_and_a_quote_leads_to_its_place(tmp_path: Path, page: Path) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open(page, 390)
        await tab.press("Tab", 9)
        assert await tab.run("document.activeElement.className") == "skip"
        await tab.run("document.querySelector('.case summary').focus()")
        await tab.press("Enter", 13)
        assert await tab.run("document.querySelector('.case').open")
        await tab.run("document.querySelector('.case').open = false")
        assert await tab.run("document.querySelectorAll('.case q a').length") > 5
        place = await tab.run("document.querySelector('.case q a').hash")
        await tab.run(f"location.hash = {place!r}")
        await tab.run("new Promise(done => setTimeout(done, 100))")
        assert await tab.run(
            f"(() => {{ const at = document.querySelector({place!r}).getBoundingClientRect();"
            "return at.top >= 0 && at.bottom <= innerHeight && at.height > 0 })()"
        )

    in_browser(tmp_path, visit)


def test_it_can_be_read_without_its_script(tmp_path: Path, page: Path) -> None:
    async def visit(tab: Tab) -> None:
        await tab.call("Emulation.setScriptExecutionDisabled", value=True)
        await tab.open(page)
        assert not await tab.run("document.getElementById('filter').checkVisibility()")
        assert await tab.run("document.querySelector('noscript').innerText.includes('needs JavaScript')")
        assert len(await tab.run(SHOWN)) == 30
        await tab.run("document.querySelector('.case summary').focus()")
        await tab.press("Enter", 13)
        assert await tab.run("document.querySelector('.case .candidate').checkVisibility()")

    in_browser(tmp_path, visit)
