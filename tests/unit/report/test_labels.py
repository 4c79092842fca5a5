"""Labels of people are read, checked and held against each other, gold and the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from thinkscore.errors import BadInput
from thinkscore.report._labels import Agreement, read_labels
from thinkscore.types import Case, Failure, Judgment, Usage


def judged(name: str, winner: int | None, gold: tuple[float, ...] = (1.0, 0.0)) -> tuple[Case, Judgment]:
    scores = tuple(float(i == winner) for i in range(len(gold)))
    return Case(name, (), ("",) * len(gold), gold), Judgment(name, scores, winner, 0.5, (), Usage(), "", "")


def test_labels_are_read_from_lines_and_from_tables(tmp_path: Path) -> None:
    lines, table = tmp_path / "labels.jsonl", tmp_path / "labels.csv"
    lines.write_text('{"id": "a", "annotator": "ann", "label": 1}\n\n{"id": 7, "annotator": "bob", "label": "Tie"}\n')
    table.write_text("annotator,id,label,note\nann,a,1,fine\nbob,7,tie,\n")
    assert read_labels(lines, "winner") == read_labels(table, "winner") == {"a": {"ann": 1}, "7": {"bob": "tie"}}
    assert read_labels(table, "category") == {"a": {"ann": "1"}, "7": {"bob": "tie"}}


BAD = {
    "no annotator": ('{"id": "a", "label": 1}', "winner", ":1: .*annotator"),
    "no JSON": ('{"id": "a", "annotator": "x", "label": 1}\nnonsense', "winner", ":2: "),
    "no winner": (
        '{"id": "a", "annotator": "x", "label": "good"}',
        "winner",
        "got the label 'good'.*number of the best",
    ),
    "no score": ('{"id": "a", "annotator": "x", "label": "nan"}', "score", "a number"),
    "twice": ('{"id": "a", "annotator": "x", "label": 1}\n' * 2, "winner", ":2: x labels case 'a' twice"),
    "nothing": ("\n", "winner", "no labels"),
}


@pytest.mark.parametrize(("text", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_labels_are_named_by_line(tmp_path: Path, text: str, kind: str, message: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_labels(path, kind)


def test_agreement_with_each_other_gold_and_judge_by_hand() -> None:
    agreement = Agreement("winner")
    agreement.add(*judged("1", 0), {"ann": 0, "bob": 0})
    agreement.add(*judged("2", 1), {"ann": 0, "bob": 1})
    agreement.add(*judged("3", None), {"ann": 1, "bob": 1})
    agreement.add(*judged("4", 0), {})  # nobody labelled it
    pairs, every = agreement.pairs()
    found = {(pair.a, pair.b): pair for pair in pairs}
    assert every == len(pairs) == 6
    # Same on 2 of 3; expected (2 * 1 + 1 * 2) / 9; (6 - 4) / (9 - 4).
    assert found["ann", "bob"].observed == pytest.approx(2 / 3)
    assert found["ann", "bob"].kappa == pytest.approx(0.4)
    assert found["ann", "gold"].observed == pytest.approx(2 / 3)
    # The judge's tie is a label of its own: 0, 1, tie against 0, 0, 1.
    assert found["ann", "judge"].observed == pytest.approx(1 / 3)
    assert found["gold", "judge"].n == 3
    # Ordered pairs that differ: 2, of six labels with three of each: 36 - 18.
    assert agreement.alpha() == pytest.approx(1 - 5 * 2 / 18)
    assert agreement.alpha(others=["judge"]) != agreement.alpha()


def test_a_case_without_a_verdict_has_no_label_of_the_judge() -> None:
    agreement = Agreement("winner")
    case, judgment = judged("1", 0)
    lost = Judgment("1", None, None, None, (), Usage(), "", "", Failure("no_verdict"))
    agreement.add(case, lost, {"ann": 0})
    agreement.add(case, judgment, {"ann": 1})
    assert agreement.units == [{"ann": 0, "gold": 0}, {"ann": 1, "gold": 0, "judge": 0}]


def test_scores_are_compared_by_distance_and_not_with_the_judge() -> None:
    agreement = Agreement("score")
    for name, labels in {"1": {"ann": 1.0, "bob": 2.0}, "2": {"ann": 5.0, "bob": 5.0}}.items():
        agreement.add(*judged(name, 0), labels)
    assert [(pair.a, pair.b) for pair in agreement.pairs()[0]] == [("ann", "bob")]
    # Squares: 2 within; labels 1, 2, 5, 5 about 3.25: 5.0625 + 1.5625 + 2 * 3.0625, times 8 is 102.
    assert agreement.alpha("interval") == pytest.approx(1 - 3 * 2 / 102)


@pytest.mark.parametrize(("labels", "message"), [({"ann": 2}, "0 to 1.*--label-kind"), ({"judge": 0}, "'judge'")])
def test_impossible_labels_are_refused(labels: dict[str, int], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Agreement("winner").add(*judged("1", 0), labels)


def test_of_many_pairs_those_with_most_cases_are_listed() -> None:
    agreement = Agreement("category")
    for n in range(12):
        agreement.add(*judged(str(n), 0), {f"p{i}": "x" for i in range(12 - n)})
    pairs, every = agreement.pairs()
    assert (len(pairs), every) == (40, 66)
    assert [pair.n for pair in pairs] == sorted((pair.n for pair in pairs), reverse=True)
    assert pairs[0][:2] == ("p0", "p1")
