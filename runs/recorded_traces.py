"""Read RM-R1's released judge outputs through `replay:` and hold every verdict against the authors' own files.

Each text is read by our parser and by the authors' two (docs/protocols.md); where they disagree, the line is listed.

    python runs/recorded_traces.py ../shared/data/rm-r1-results

The folder is the result part of the RM-R1 repository (commit d4c2542): `**/logs.json` and `**/raw_logs.json`, each
row with the judge's text (`answers`), whether it was right (`results`) and whether the chosen answer was shown as B.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thinkscore.judge import Judge
from thinkscore.types import Case, Failure, Judgment, Message, Winner

Text = Callable[[str], str]
PARSERS = ("strict", "official_eval", "official_reward")
CHANGES: dict[str, Text] = {
    "right or not, as recorded": str,
    "the same, where the thinking or the evaluation first names both sides": lambda text: (
        text.replace("<eval>", "<eval>Is it [[A]] or [[B]]?") if "<eval>" in text else f"Is it [[A]] or [[B]]? {text}"
    ),
    "the same, with a closing remark of 60 characters": lambda text: (
        text.rstrip() + " " + "I am sure of it. " * 3 + "Yes, sure"
    ),
}


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded rows of every readable log."""
    files = sorted([*folder.rglob("logs.json"), *folder.rglob("raw_logs.json")])
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]


def case_of(number: int, row: dict[str, Any], mirrored: bool) -> Case:
    """Make the case as the judge saw it: candidate 0 was A. The chosen answer is best."""
    chosen, rejected = row["text_chosen"], row["text_rejected"]
    shown = [rejected, chosen] if row["Is_Chosen_Answer_Shuffled_toPositionB"] != mirrored else [chosen, rejected]
    messages = tuple(Message(turn["role"], turn["content"]) for turn in chosen[:-1])
    gold = tuple(1.0 if side is chosen else 0.0 for side in shown)
    return Case(f"trace-{number}", messages, (shown[0][-1]["content"], shown[1][-1]["content"]), gold)


def mirror(text: str) -> str:
    """Swap the sides in a text's own marks."""
    swap = {"A": "B", "B": "A"}
    return re.sub(r"(\[\[|(?:quote|summary)_)([AB])\b", lambda match: match[1] + swap[match[2]], text)


def cut(text: str) -> str:
    """Cut a text before its verdict."""
    return text[: text.rindex("<answer>")]


def variant(row: dict[str, Any]) -> str:
    """Name the protocol of a recorded text: the models made from DeepSeek-R1 think freely."""
    return "rm_r1" if "<type>" in row["answers"] else "rm_r1_think"


def better(row: dict[str, Any]) -> str:
    """Name the side that shows the chosen answer."""
    return "B" if row["Is_Chosen_Answer_Shuffled_toPositionB"] else "A"


def read_by(found: list[dict[str, Any]], parser: str, change: Text) -> list[str]:
    """Say what a parser reads from each recorded text: the winner as shown, or the kind of failure."""
    read = []
    for row in found:
        (judgment,) = replayed([row], change, protocol=variant(row), parser=parser)
        outcome = judgment.verdicts[0].outcome
        read.append("AB"[outcome.winner] if isinstance(outcome, Winner) else getattr(outcome, "kind", "?"))
    return read


def replayed(
    found: list[dict[str, Any]],
    change: Text,
    finish: str = "stop",
    mirrored: bool = False,
    protocol: str = "rm_r1",
    parser: str = "strict",
) -> list[Judgment]:
    """Judge the recorded (changed) texts through `replay:`."""
    cases = [case_of(number, row, mirrored) for number, row in enumerate(found)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recorded.jsonl"
        records = [
            {"case_id": case.id, "sample": 0, "text": change(row["answers"]), "finish": finish}
            for case, row in zip(cases, found, strict=True)
        ]
        file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        with Judge(protocol, f"replay:{file}", parser=parser) as judge:
            return list(judge.judge(cases))


def as_recorded(found: list[dict[str, Any]], judged: list[Judgment], mirrored: bool = False) -> int:
    """Count the verdicts that are right or wrong exactly as the authors' file says."""
    agree = 0
    for number, (row, judgment) in enumerate(zip(found, judged, strict=True)):
        case = case_of(number, row, mirrored)
        outcome = judgment.verdicts[0].outcome
        right = isinstance(outcome, Winner) and case.gold is not None and case.gold[outcome.winner] == 1.0
        agree += isinstance(outcome, Winner) and right == (row["results"] == 1)
    return agree


def failures(judged: list[Judgment]) -> Counter[str]:
    """Count the kinds of failure; a readable verdict counts as "verdict"."""
    outcomes = [judgment.verdicts[0].outcome for judgment in judged]
    return Counter(outcome.kind if isinstance(outcome, Failure) else "verdict" for outcome in outcomes)


def compare(found: list[dict[str, Any]], title: str, change: Text) -> None:
    """Print how many verdicts each parser reads as recorded, and every text on which they disagree."""
    read = {parser: read_by(found, parser, change) for parser in PARSERS}
    together = list(zip(*read.values(), strict=True))
    print(f"\n{title}:")
    for parser, sides in read.items():
        # As the authors count: what cannot be read is not right.
        right = [side == better(row) for side, row in zip(sides, found, strict=True)]
        agree = sum(was == (row["results"] == 1) for was, row in zip(right, found, strict=True))
        print(f"{agree:3} of {len(found):3}  {parser}")
    print(f"{sum(len(set(said)) > 1 for said in together):3} of {len(found):3}  read differently")
    for number, said in enumerate(together):
        if len(set(said)) > 1:
            listed = ", ".join(f"{parser} {side}" for parser, side in zip(PARSERS, said, strict=True))
            print(f"           trace-{number} ({variant(found[number])}): {listed}")


def main(folder: Path) -> int:
    """Print the counts; return 0 if all of them are as they must be."""
    found = rows(folder)
    judged = replayed(found, str)
    tagged = [judgment.verdicts[0].trace for judgment in judged if judgment.verdicts[0].trace.task]
    thought = [judgment.verdicts[0].trace for judgment in judged if not judgment.verdicts[0].trace.task]
    n = len(found)
    checks = {
        "verdicts as recorded": (as_recorded(found, judged), n),
        "verdicts as recorded, A and B mirrored": (
            as_recorded(found, replayed(found, mirror, mirrored=True), mirrored=True),
            n,
        ),
        "cut before the verdict, finish=length: truncated": (failures(replayed(found, cut, "length"))["truncated"], n),
        "cut before the verdict, finish=stop: no_verdict": (failures(replayed(found, cut))["no_verdict"], n),
        "Chain-of-Rubrics traces with type, rubric, justification, evaluation": (
            sum(bool(t.rubric and t.justification and t.evaluation) for t in tagged),
            len(tagged),
        ),
        "other traces read as thinking and answer": (
            sum(bool(t.thinking) and not (t.rubric or t.evaluation) for t in thought),
            len(thought),
        ),
    }
    for name, (got, wanted) in checks.items():
        print(f"{got:3} of {wanted:3}  {name}")
    for title, change in CHANGES.items():
        compare(found, title, change)
    return 0 if n and all(got == wanted for got, wanted in checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
