"""The written page: whole, self-contained, well-formed, escaped, and saying what the run says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tracemalloc
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.data import case_row, judgment_row, read_cases, write_rows
from thinkscore.errors import BadInput
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.report import page as page_module
from thinkscore.report._html import visible
from thinkscore.report.page import Written, write_report
from thinkscore.types import (
    Anchor,
    Case,
    Completion,
    Failure,
    Judgment,
    Message,
    Note,
    Scores,
    Trace,
    Usage,
    Verdict,
    Winner,
)

VOID = {"meta", "input", "img", "br", "hr", "link"}
BLOCKS = {"div", "p", "table", "section", "details", "h1", "h2", "h3", "h4", "h5", "form", "nav", "ul", "svg"}
EVIL = (
    "</script><script>window.hit = 1</script><img src=x onerror=alert(1)> & &amp; \" ' {{ 7 * 7 }} {% raw %} "
    "\u2028\u2029 \u202eback\u202c \u2066in\u2069 \x00\x07 \u200b \U000e0041 ]]> <!-- --> https://example.org/x"
)


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order, nothing that ends a paragraph stands inside one."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.flaws: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        self.flaws += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if len(dict(attrs)) < len(attrs):
            self.flaws.append(f"{self.getpos()}: <{tag}> has an attribute twice")
        if tag in BLOCKS and "p" in self.open:
            self.flaws.append(f"{self.getpos()}: <{tag}> inside <p>")
        if tag not in VOID:
            self.open.append(tag)
        self.part(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.flaws.append(f"{self.getpos()}: </{tag}> closes nothing")
        self.part(tag)

    def part(self, tag: str) -> None:
        """Keep the texts of cells and blocks apart."""
        if tag in BLOCKS | {"td", "th", "summary"}:
            self.texts.append(("", " "))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self) -> str:
        return "".join(data for tag, data in self.texts if tag not in ("script", "style"))


def check(html: str) -> Page:
    """Read a page and hold it to what every page must be."""
    found = Page(html)
    assert found.flaws == []
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [a["href"] for a in found.all("a") if (a["href"] or "")[:1] != "#" or (a["href"] or "")[1:] not in ids] == []
    loading = {"src", "srcset", "action", "data", "poster", "style", "xlink:href", "background", "formaction"}
    assert [(tag, a) for tag, a in found.tags if loading & a.keys() or any(name.startswith("on") for name in a)] == []
    assert {"script", "style"} == {tag for tag, _ in found.tags} & {
        "script",
        "style",
        "link",
        "img",
        "iframe",
        "object",
    }
    for tag, name in (("script", "page.js"), ("style", "page.css")):
        ours = (Path(page_module.__file__).parent / name).read_text()
        assert [data for of, data in found.texts if of == tag] == [ours]
        assert not re.search(r"https?:|url\(|@import|fetch|XMLHttp|import\(", ours)
        digest = base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode()
        assert digest in str(next(a for a in found.all("meta") if "http-equiv" in a)["content"])
    return found


def written(folder: Path, pairs: Iterable[tuple[Case, Judgment]], whole: bool = True, **options: object) -> str:
    """Write rows, cases and the report on them."""
    with write_rows(folder / "rows.jsonl") as row, write_rows(folder / "cases.jsonl") as put:
        for case, judgment in pairs:
            row(judgment_row(case, judgment))
            put(case_row(case))
    read = (lambda: read_cases(folder / "cases.jsonl")) if whole else None
    write_report(folder / "rows.jsonl", folder / "report.html", read, **options)  # type: ignore[arg-type]
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run() -> Sequence[tuple[Case, Judgment]]:
    """Lab pairs judged by a judge that is right or wrong by the text of its traces."""
    with Judge("rm_r1", "oracle:", "vote:k=4", seed=3) as judge:
        pairs = list(judge.run(world.make(3, "test", 24)))
    return [(case, _turned(judgment, i)) for i, (case, judgment) in enumerate(pairs)]


def _turned(judgment: Judgment, i: int) -> Judgment:
    """Make every third judgment wrong, every fifth a failure, every seventh a tie."""
    assert judgment.winner is not None and judgment.scores is not None
    replace = msgspec.structs.replace
    if i % 5 == 4:
        lost = Failure("truncated", "cut at max_tokens")
        verdicts = tuple(replace(verdict, outcome=lost) for verdict in judgment.verdicts)
        return replace(judgment, scores=None, winner=None, confidence=None, verdicts=verdicts, failure=lost)
    if i % 7 == 6:
        return replace(judgment, scores=(0.5, 0.5), winner=None, confidence=0.5)
    return replace(judgment, scores=judgment.scores[::-1], winner=1 - judgment.winner) if i % 3 == 2 else judgment


def test_a_page_is_whole_and_says_the_tally(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    found = check(written(tmp_path, run))
    text = re.sub(r"\s+", " ", found.text())
    # 24 cases: 4, 9, 14, 19 failed; 6, 13, 20 tied; 2, 5, 8, 11, 17, 23 wrong; 11 right: (11 + 3 / 2) / 24 and / 20.
    assert "52.1 % accuracy over all 24 cases" in text
    assert "62.5 % over the 20 with a verdict" in text
    for row in ("right 11 45.8 %", "wrong 6 25.0 %", "tied 3 12.5 %", "unparsed 4 16.7 %", "errored 0 0.0 %"):
        assert row in text
    assert "truncated 16 16.7 % 4" in text
    assert {"result", "tags", "votes", "confidence", "places", "cost", "failures", "cases"} <= {
        a.get("id") for a in found.all("section")
    }
    assert all(a.get("aria-label") or a.get("aria-hidden") == "true" for a in found.all("svg"))
    assert not (tmp_path / "report.html.partial").exists()


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    assert written(tmp_path, run) == written(tmp_path, run)


def test_wrong_and_failed_cases_are_shown_first_and_no_more_than_asked(
    tmp_path: Path, run: Sequence[tuple[Case, Judgment]]
) -> None:
    def fates(browse: int) -> list[str | None]:
        found = check(written(tmp_path, run, browse=browse))
        return [a["data-fate"] for a in found.all("details") if a.get("class") == "case"]

    # 2 wrong, 4 failed, 5 and 8 wrong, 9 failed, 11 wrong, 14 failed, 17 wrong, 19 failed, 23 wrong.
    assert fates(10) == ["wrong", "failed", "wrong", "wrong", "failed", "wrong", "failed", "wrong", "failed", "wrong"]
    assert fates(12)[10:] == ["tied", "tied"]
    assert fates(200) == fates(10) + ["tied"] * 3 + ["right"] * 11
    assert fates(3) == fates(10)[:3]
    assert fates(0) == []
    assert "10 of 24 cases: wrong and failed ones first" in check(written(tmp_path, run, browse=10)).text()


def test_each_section_of_a_trace_is_shown_and_quotes_lead_to_the_candidate(tmp_path: Path) -> None:
    case = Case("c", (Message("user", "Which?"),), ("Tea on Monday.", "Milk on Friday."), (1.0, 0.0))
    notes = (
        Note("tea on", candidate=0, quote=True),
        Note("Coffee", candidate=1, quote=True),
        Note("fits", candidate=0),
    )
    trace = msgspec.convert(
        {
            "task": {"text": "Chat"},
            "rubric": [{"text": "has tea", "weight": 60}],
            "justification": [{"text": "asked for"}],
            "solution": [{"text": "so tea"}],
            "thinking": [{"text": "hm"}],
            "evaluation": msgspec.to_builtins(notes),
        },
        Trace,
    )
    verdict = Verdict("c", (1, 0), Winner(0), trace, Completion("all of it"))
    judgment = Judgment("c", (1.0, 0.0), 0, 0.75, (verdict,), Usage(1, 2, 3), "", "")
    html = written(tmp_path, [(case, judgment)])
    found, text = check(html), re.sub(r"\s+", " ", check(html).text())
    for said in (
        "Type Chat",
        "has tea 60",
        "Why these criteria asked for",
        "Own solution so tea",
        "Thinking hm",
        "all of it",
    ):
        assert said in text
    assert "Vote 1: candidate 0 right shown: candidate 1, candidate 0" in text
    assert "Candidate 0 (shown at place 2) tea on nearly fits Candidate 1 (shown at place 1) Coffee not in the" in text
    (mark,) = [a for a in found.all("mark") if "id" in a]
    assert mark["title"] == "quoted by vote 1"
    assert any(a["href"] == f"#{mark['id']}" for a in found.all("a"))
    assert re.search(rf'<mark id="{mark["id"]}"[^>]*>Tea on</mark> Monday\.', html)


def test_anchors_are_named_and_votes_on_some_of_the_candidates_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    anchors = (Anchor("Tea on Sunday.", 3.0), Anchor("", 1.0))
    case = Case("c", (Message("user", "Which?"),), ("Tea.", ""), (2.0, 1.0), anchors=anchors)
    trace = Trace(evaluation=(Note("on Sunday", candidate=2, quote=True), Note("Cake", candidate=1, quote=True)))
    verdicts = [
        Verdict("c", (2, 0), Winner(2), trace, Completion("x")),
        Verdict("c", (1, 2), Scores((None, 4.0, 5.0, None)), trace, Completion("y")),
        Verdict("c", (0, 3), Winner(0), Trace(evaluation=(Note("Milk", candidate=3, quote=True),)), Completion("z")),
    ]
    judgment = Judgment("c", (1.5, 0.25), 0, 0.75, (*verdicts,), Usage(3, 2, 3), "", "", None, (0.5, 0.125))
    html = written(tmp_path, [(case, judgment)])
    text = re.sub(r"\s+", " ", check(html).text())
    assert "Vote 1: anchor 0 shown: anchor 0, candidate 0" in text
    assert "Vote 2: scores –, 4, 5, – shown: candidate 1, anchor 0" in text
    assert (
        "Candidate 0 judged best best by gold gold 2, score 1.5 ± 0.5 Tea. Candidate 1 gold 1, score 0.25 ± 0.12"
        in text
    )
    assert ">on Sunday</mark>." in html
    # What an empty candidate is said to say is not in it; of an anchor without a text nothing is known.
    assert "Cake not in the candidate" in text and "Milk not" not in text
    assert "votes" not in {a.get("id") for a in check(html).all("section")}


def evil_run() -> list[tuple[Case, Judgment]]:
    """Put the same hostile text wherever a case or a judge may put text."""
    line = {"text": EVIL}
    notes = [{**line, "candidate": None}, {**line, "candidate": 0, "quote": True}, {**line, "candidate": 1}]
    lines = [line]
    trace = msgspec.convert(
        {
            "task": line,
            "thinking": lines,
            "rubric": lines,
            "justification": lines,
            "solution": lines,
            "evaluation": notes,
        },
        Trace,
    )
    pairs = []
    for i in range(3):
        case = Case(
            f"{EVIL}{i}",
            (Message("user", EVIL),),
            (EVIL, EVIL + "x"),
            (1.0, 0.0),
            EVIL,
            {EVIL: f"{EVIL}{i % 2}", "by": 0},
        )
        outcome = Failure("no_verdict", EVIL) if i == 2 else Winner(i)
        verdict = Verdict(case.id, (0, 1), outcome, trace, Completion(EVIL))
        failure = outcome if isinstance(outcome, Failure) else None
        scores = None if failure else (1.0 - i, float(i))
        pairs.append(
            (case, Judgment(case.id, scores, None if failure else i, None, (verdict,), Usage(), "", "", failure))
        )
    return pairs


@pytest.mark.parametrize("whole", [True, False])
def test_no_text_of_a_case_or_a_judge_is_markup(tmp_path: Path, whole: bool) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps({"id": f"{EVIL}{i}", "annotator": EVIL, "label": 0}) + "\n" for i in range(3)))
    html = written(tmp_path, evil_run(), whole, labels=labels)
    found = check(html)
    assert not re.search("[\x00-\x08\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0041]", html)
    text = found.text()
    assert text.count("</script><script>window.hit = 1</script><img src=x onerror=alert(1)> & &amp; \" '") > 20
    assert "{{ 7 * 7 }} {% raw %} U+2028U+2029 U+202EbackU+202C U+2066inU+2069 U+0000U+0007 U+200B U+E0041 ]]>" in text


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
@settings(max_examples=200)
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    shown = str(visible(text))
    back = Page(f"<pre>{shown}</pre>")
    assert back.flaws == []
    named = re.compile(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    )
    assert back.text() == named.sub(lambda match: f"U+{ord(match[0]):04X}", text)


def test_without_cases_the_page_says_what_is_missing(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    found = check(written(tmp_path, run, whole=False))
    assert "name it with --cases" in re.sub(r"\s+", " ", found.text())
    assert not [a for a in found.all("mark") if "id" in a]
    assert "tags" not in {a.get("id") for a in found.all("section")}


def test_without_gold_there_is_no_accuracy(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    bare = [(msgspec.structs.replace(case, gold=None), judgment) for case, judgment in run]
    found = check(written(tmp_path, bare))
    assert "No case has gold" in found.text()
    assert not {"tags", "votes", "confidence"} & {a.get("id") for a in found.all("section")}
    assert {a["data-fate"] for a in found.all("details") if a.get("class") == "case"} == {"open", "failed"}


def test_labels_in_tags_are_annotators_and_no_groups(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    tagged = [
        (msgspec.structs.replace(case, tags={**case.tags, "ann": i % 2, "bob": "tie"}), judgment)
        for i, (case, judgment) in enumerate(run)
    ]
    text = re.sub(r"\s+", " ", check(written(tmp_path, tagged, label_tags=["ann", "bob"])).text())
    assert "24 labelled cases; 2 annotators: ann (24), bob (24)." in text
    # Every unit differs: 24 times 2; of 48 labels 12, 12 and 24 are equal: 1 - 47 * 48 / (48 * 48 - 864).
    assert "people, nominal -0.567" in text
    assert "ann gold 24" in text and "bob judge 20" in text
    assert "ann cases accuracy" not in text and "family cases accuracy" in text


def test_bad_input_is_one_message_and_leaves_no_page(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    written(tmp_path, run)
    rows, out, cases = tmp_path / "rows.jsonl", tmp_path / "new.html", tmp_path / "cases.jsonl"
    read = lambda: read_cases(cases)  # noqa: E731
    short, odd, labels = tmp_path / "short.jsonl", tmp_path / "odd.jsonl", tmp_path / "labels.jsonl"
    short.write_text("".join(cases.read_text().splitlines(True)[:3]))
    odd.write_text('{"id": "a", "gold": [1, 0], "verdicts": [{"order": [0, 1, 2]}]}\n')
    labels.write_text('{"id": "nobody", "annotator": "ann", "label": 0}\n')
    for message, arguments in (
        ("cannot read", (tmp_path / "gone.jsonl", out)),
        ("no output row", (cases, out)),
        ("different numbers of candidates", (odd, out)),
        ("--cases has no case", (rows, out, lambda: read_cases(short))),
        ("matched by the case's id", (rows, out, read, labels)),
        ("name it with --cases", (rows, out, None, None, ["ann"])),
        ("matched by the case's id", (rows, out, read, None, ["ann"])),
        ("cannot write", (rows, tmp_path / "gone" / "report.html")),
    ):
        with pytest.raises(BadInput, match=message):
            write_report(*arguments)  # type: ignore[arg-type]
    assert not out.exists()


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, run: Sequence[tuple[Case, Judgment]]) -> None:
    def peak(times: int) -> int:
        path = tmp_path / f"{times}.jsonl"
        with write_rows(path) as put:
            for i in range(times):
                for case, judgment in run:
                    put(judgment_row(msgspec.structs.replace(case, id=f"{case.id}-{i}"), judgment))
        tracemalloc.start()
        try:
            assert write_report(path, tmp_path / "report.html", browse=20) == Written(24 * times, 20)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is loaded at first use
    assert peak(16) < 1.25 * peak(2)
