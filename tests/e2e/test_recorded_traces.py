"""Recorded judge outputs read through `replay:`, with small outputs of our own in the layout of RM-R1's logs."""

import importlib.util
import json
import re
from pathlib import Path

RUN = Path(__file__).parents[2] / "runs" / "recorded_traces.py"

RUBRICS = """<type>Chat</type>
<rubric>
1. Names the deadline (60%): the client asks when
2. Friendly tone (40%)
<justify>The client needs a date; tone matters less.</justify>
</rubric>

<eval>
- A says <quote_A>on Friday</quote_A>, which answers. <summary_A>Clear and friendly.</summary_A>
- <quote_B>soon</quote_B> <summary_B>No date.</summary_B>
</eval>

<answer>[[{side}]]</answer>"""

THINKING = """Okay, the client asks for a date. Chatbot A names Friday, Chatbot B says soon.
Both are polite, but only one answers.
</think>

<answer>[[{side}]]</answer>"""


def log_row(text: str, side: str, chosen_is_b: bool) -> dict[str, object]:
    question = {"role": "user", "content": "When is it due?"}
    good, bad = ({"role": "assistant", "content": reply} for reply in ("It is due on Friday.", "It is due soon."))
    right = (side == "B") == chosen_is_b
    return {
        "text_chosen": [question, good],
        "text_rejected": [question, bad],
        "answers": text.format(side=side),
        "results": int(right),
        "Is_Chosen_Answer_Shuffled_toPositionB": chosen_is_b,
    }


def counts(block: str) -> dict[str, int]:
    """Read lines like "  8 of   8  strict"."""
    return {name: int(n) for n, name in re.findall(r"^ *(\d+) of +\d+  (.+)$", block, re.MULTILINE)}


def test_recorded_verdicts_sections_and_cuts_are_read_as_they_stand(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("recorded_traces", RUN)
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    rows = [log_row(text, side, b) for text in (RUBRICS, THINKING) for side in "AB" for b in (True, False)]
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "logs.json").write_text(json.dumps(rows))
    assert run.main(tmp_path) == 0
    printed = capsys.readouterr().out
    assert "  8 of   8  verdicts as recorded" in printed
    as_recorded, both_named, remark = printed.split("\n\n")[1:]
    assert counts(as_recorded) == {"strict": 8, "official_eval": 8, "official_reward": 8, "read differently": 0}
    # A verdict that is not read counts as not right, which 4 of the 8 are.
    assert counts(both_named) == {"strict": 8, "official_eval": 4, "official_reward": 8, "read differently": 8}
    assert "trace-0 (rm_r1): strict A, official_eval ambiguous, official_reward A" in both_named
    assert counts(remark) == {"strict": 8, "official_eval": 8, "official_reward": 4, "read differently": 8}
    assert "trace-7 (rm_r1_think): strict B, official_eval B, official_reward no_verdict" in remark

    rows[0]["results"] = 1 - rows[0]["results"]
    (tmp_path / "some" / "logs.json").write_text(json.dumps(rows))
    assert run.main(tmp_path) == 1
