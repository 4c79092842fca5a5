"""Mixtures: every row accounted for, no prompt on two sides, orders that balance, the same bytes again."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore.data import read_cases
from thinkscore.errors import BadInput
from thinkscore.train.mixture import FILES, RULES, Mixture, Report, Source, mix, read_sources
from thinkscore.types import Case

PLAIN = Mixture(held_out=0)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pair(i: int, **more: Any) -> dict[str, Any]:
    return {"prompt": f"What is {i} + 1?", "chosen": f"{i + 1}", "rejected": f"{i + 2}", **more}


def mixed(
    folder: Path, rows: Sequence[dict[str, Any]], mixture: Mixture = PLAIN
) -> tuple[Report, dict[str, list[Case]]]:
    report, same = mix(read_sources([write(folder / "rows.jsonl", rows)]), folder / "out", mixture)
    assert not same
    return report, cases_of(folder / "out")


def cases_of(out: Path) -> dict[str, list[Case]]:
    files = {name: out / f"{name}.jsonl" for name in FILES}
    return {name: list(read_cases(file)) if file.exists() else [] for name, file in files.items()}


def first(case: Case) -> bool:
    assert case.gold is not None
    return case.gold[0] == max(case.gold)


# ---- what holds for all mixtures

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "prompt": st.sampled_from(["Name a river.", "name  a RIVER.", "Name a hill.", "2 + 2?", "2 - 2?", "Hi"]),
            "candidates": st.lists(st.sampled_from(["a", "b", "c", " "]), min_size=1, max_size=3),
        },
        optional={"gold": st.integers(0, 2), "tags": st.sampled_from([{"source": "x"}, {"source": "magpie_ultra"}])},
    ),
    min_size=1,
    max_size=30,
)
MIXTURES = st.builds(
    Mixture,
    exclude=st.sampled_from([(), ("magpie_ultra",)]),
    pairs=st.booleans(),
    orders=st.sampled_from(["balanced", "alternate", "as_is"]),
    distill_share=st.sampled_from([0.0, 0.12, 0.5, 1.0]),
    held_out=st.sampled_from([0.0, 0.05, 0.4]),
    seed=st.integers(0, 3),
    skip_bad=st.just(True),
)


@settings(max_examples=40, deadline=None)
@given(ROWS, MIXTURES)
def test_every_row_is_accounted_for_and_no_prompt_is_on_two_sides(rows: list[dict[str, Any]], mixture: Mixture) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            report, files = mixed(Path(folder), rows, mixture)
        except BadInput as error:
            assert "rows is left" in str(error) or "all" in str(error)
            return
        assert report.read == len(rows) == sum(report.written.values()) + sum(report.dropped.values())
        assert report.written == {name: len(cases) for name, cases in files.items()}
        for by in report.sources.values():
            assert by["read"] == sum(count for what, count in by.items() if what != "read")
        asked = [{" ".join(case.messages[-1].content.lower().split()) for case in cases} for cases in files.values()]
        assert not (asked[0] & asked[1] or asked[0] & asked[2] or asked[1] & asked[2])
        assert len({case.id for cases in files.values() for case in cases}) == sum(report.written.values())
        if mixture.orders != "as_is":
            for cases in files.values():
                for n in (2, 3):
                    starts = Counter(first(case) for case in cases if len(case.candidates) == n)
                    assert abs(starts[False] - (n - 1) * starts[True]) < n


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    rows = [pair(i) for i in range(60)]
    source = read_sources([write(tmp_path / "rows.jsonl", rows)])
    mixture = Mixture(distill_share=0.5, held_out=10)
    found = []
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        mix(source, tmp_path / out, msgspec.structs.replace(mixture, seed=seed))
        found.append({name: (tmp_path / out / f"{name}.jsonl").read_bytes() for name in FILES})
    assert found[0] == found[1]
    assert all(found[0][name] != found[2][name] for name in FILES)
    assert (tmp_path / "a/report.json").read_bytes() == (tmp_path / "b/report.json").read_bytes()


def test_the_rows_of_a_prompt_go_together_whatever_its_spaces_and_system_message(tmp_path: Path) -> None:
    rows = []
    for i in range(120):
        asked = [{"role": "user", "content": f"Name {i // 6}  things" if i % 2 else f"name {i // 6} THINGS\n"}]
        system = [{"role": "system", "content": "Be kind."}] if i % 3 else []
        rows.append({"prompt": system + asked, "candidates": [f"{i}", "?"], "gold": 0})
    mixture = Mixture(held_out=0.3, distill_share=0.5)
    report, files = mixed(tmp_path, rows, mixture)
    assert report.written == {"held_out": 36, "distill": 42, "rl": 42}
    assert report.prompts == {"held_out": 6, "distill": 7, "rl": 7}
    asked = [{case.messages[-1].content.split()[1] for case in cases} for cases in files.values()]
    assert [len(numbers) for numbers in asked] == [7, 7, 6]
    assert len(set.union(*asked)) == 20


# ---- what is dropped


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a", "candidates": ["x", "y"]}, "no gold"),
        ({"prompt": "a", "candidates": ["x", "y"], "gold": [1, 1]}, "no single best candidate"),
        ({"prompt": "a", "candidates": ["x", " "], "gold": 0}, "empty candidate"),
        ({"prompt": "a", "candidates": ["x", "x"], "gold": 0}, "best candidate twice"),
        ({"prompt": "a", "candidates": ["x", "y", "z"], "gold": 0}, "no pair"),
        ({"prompt": "a", "candidates": ["x", "y"], "gold": 0, "tags": {"source": "magpie_ultra"}}, "excluded source"),
        ({"prompt": "a", "candidates": "x"}, "unreadable"),
        ({"prompt": "GOOD ", "candidates": ["n", "y"], "gold": [0.2, 0.8]}, "duplicate"),
    ],
)
def test_a_row_that_cannot_be_used_is_counted_by_its_reason(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    good = {"id": "good", "prompt": "good", "candidates": ["y", "n"], "gold": 0}
    mixture = msgspec.structs.replace(RULES["rm_r1"], held_out=0, distill_share=0, skip_bad=True)
    report, files = mixed(tmp_path, [good, {"id": "bad", **row}], mixture)
    assert report.dropped == {reason: 1}
    assert report.examples[reason] in (["bad"], [report.examples[reason][0]])
    assert [case.id for case in files["rl"]] == ["good"]


def test_a_pair_with_two_labels_is_dropped_both_times(tmp_path: Path) -> None:
    rows = [pair(1), {**pair(1), "chosen": "3", "rejected": "2"}, pair(1), pair(2)]
    report, files = mixed(tmp_path, rows)
    assert report.dropped == {"contradictory labels": 3}
    assert [case.messages[0].content for case in files["rl"]] == ["What is 2 + 1?"]


def test_a_single_response_keeps_its_label(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "candidates": ["x"], "gold": [1]},
        {"prompt": "a", "candidates": ["y"], "gold": [0]},
        {"prompt": "b", "candidates": ["x"], "gold": [1]},
        {"prompt": "b", "candidates": ["x"], "gold": [0]},
    ]
    report, files = mixed(tmp_path, rows)
    assert report.dropped == {"contradictory labels": 2}
    assert [case.gold for case in files["rl"]] == [(1.0,), (0.0,)]


def test_nothing_left_says_what_there_was(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "candidates": ["x", "y"]}, {"prompt": "b", "candidates": ["x", "x"], "gold": 0}]
    with pytest.raises(BadInput, match="none of 2 rows is left: 1 best candidate twice, 1 no gold"):
        mixed(tmp_path, rows)
    assert not (tmp_path / "out").exists()


# ---- the rules of RM-R1


def skywork(i: int, source: str) -> dict[str, Any]:
    asked = {"role": "user", "content": f"What is {i} + 1?"}
    said = [[asked, {"role": "assistant", "content": str(i + k)}] for k in (1, 2)]
    return {"chosen": said[0], "rejected": said[1], "source": source}


def test_the_rules_of_rm_r1(tmp_path: Path) -> None:
    rows = [skywork(i, "magpie_ultra" if i % 4 == 0 else "helpsteer2") for i in range(400)]
    report, files = mixed(tmp_path, rows, RULES["rm_r1"])
    assert report.sources["rows/magpie_ultra"] == {"read": 100, "excluded source": 100}
    assert report.written == {"held_out": 15, "distill": 34, "rl": 251}  # 5 % of 300, 12 % of the other 285
    for cases in files.values():
        assert [first(case) for case in cases] == [i % 2 == 0 for i in range(len(cases))]
        assert {case.tags["source"] for case in cases} == {"helpsteer2"}
    assert report.best_first == {"held_out": 8, "distill": 17, "rl": 126}
    assert report.notes == []


def test_a_source_to_leave_out_that_is_not_there_is_told(tmp_path: Path) -> None:
    rows = [skywork(i, "helpsteer2") for i in range(40)]
    report, _ = mixed(tmp_path, rows, Mixture(exclude=("helpster2",)))
    assert "no row is of the source helpster2, which was to be left out; there are rows/helpsteer2" in report.notes


def test_the_sets_of_rm_r1_are_read(tmp_path: Path) -> None:
    step = {"prompt": "2 + 2?", "initial_reason_steps": "First: ", "full_chosen": "4", "full_rejected": "5"}
    maths = write(tmp_path / "maths.jsonl", [{**step, "chosen": "4", "rejected": "5"}])
    code = write(
        tmp_path / "code.jsonl", [{"input": f"Print {i}.", "accepted": f"{i}", "rejected": "?"} for i in range(30)]
    )
    mixture = msgspec.structs.replace(RULES["rm_r1"], held_out=0, distill_share=0)
    report, _ = mix(read_sources([maths, f"{code}:8"]), tmp_path / "out", mixture)
    files = cases_of(tmp_path / "out")
    assert files["rl"][0].candidates == ("First: 4", "First: 5")
    assert report.sources == {"maths": {"read": 1, "rl": 1}, "code": {"read": 30, "rl": 8, "over the limit": 22}}
    assert {case.tags["source"] for case in files["rl"]} == {"maths", "code"}


# ---- several files


def test_weights_leave_out_and_never_repeat(tmp_path: Path) -> None:
    for name, n in (("a", 60), ("b", 30), ("c", 7)):
        write(tmp_path / f"{name}.jsonl", [{**pair(i), "prompt": f"{name} {i}"} for i in range(n)])
    (tmp_path / "mix.toml").write_text(
        '[[source]]\nfile = "a.jsonl"\nweight = 5\n[[source]]\nfile = "b.jsonl"\nname = "bee"\nlimit = 10\nweight = 1\n'
        '[[source]]\nfile = "c.jsonl"\n'
    )
    report, _ = mix(read_sources([str(tmp_path / "mix.toml")]), tmp_path / "out", PLAIN)
    assert {name: by["rl"] for name, by in report.sources.items()} == {"a": 50, "bee": 10, "c": 7}
    assert report.dropped == {"over the limit": 20, "over the weight": 10}


def test_ids_that_several_files_use_are_made_different(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.jsonl", [pair(i, id=i) | {"prompt": f"{name} {i}"} for i in range(2)])
    mix(read_sources([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]), tmp_path / "out", PLAIN)
    assert [case.id for case in cases_of(tmp_path / "out")["rl"]] == ["0", "1", "b/0", "b/1"]


@pytest.mark.parametrize(
    ("given", "sources"),
    [
        (["x/a.jsonl.gz"], [Source("x/a.jsonl.gz", "a")]),
        (["a.jsonl:20"], [Source("a.jsonl", "a", 20)]),
        (["hf:org/set:train:8000"], [Source("hf:org/set:train", "set", 8000)]),
        (["hf:org/set:train:python"], [Source("hf:org/set:train:python", "set")]),
        (["x/a.jsonl", "y/a.jsonl"], [Source("x/a.jsonl", "x/a.jsonl"), Source("y/a.jsonl", "y/a.jsonl")]),
    ],
)
def test_files_are_named_with_limits(given: list[str], sources: list[Source]) -> None:
    assert read_sources(given) == sources


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[source]]\nfile = 'a'\nlimits = 3", "unknown field `limits`"),
        ("[[source]]\nfile = 'a'\nweight = 0", "a weight above 0"),
        ("[[source]]\nfile = 'a'\n[[source]]\nfile = 'a'", "a is named twice"),
        ("source = []", "no file is named"),
    ],
)
def test_a_bad_list_of_files_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mix.toml").write_text(text)
    with pytest.raises(BadInput, match=said):
        read_sources([str(tmp_path / "mix.toml")])


# ---- the folder


def test_a_folder_is_made_once_and_never_overwritten(tmp_path: Path) -> None:
    sources, out = read_sources([write(tmp_path / "rows.jsonl", [pair(i) for i in range(40)])]), tmp_path / "out"
    mix(sources, out, Mixture())
    made = {file.name: file.read_bytes() for file in out.iterdir()}
    assert mix(sources, out, Mixture())[1]
    (out / "rl.jsonl").unlink()  # as after a kill
    assert not mix(sources, out, Mixture())[1]
    assert {file.name: file.read_bytes() for file in out.iterdir()} == made
    with pytest.raises(BadInput, match="made with other settings or data"):
        mix(sources, out, Mixture(seed=1))
    write(tmp_path / "rows.jsonl", [pair(i + 1) for i in range(40)])
    with pytest.raises(BadInput, match="made with other settings or data"):
        mix(sources, out, Mixture())
    assert {file.name: file.read_bytes() for file in out.iterdir()} == made
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(BadInput, match=r"holds no report\.json"):
        mix(sources, tmp_path / "full", Mixture())


@pytest.mark.parametrize(
    ("mixture", "said"),
    [
        (Mixture(distill_share=1.5), "from 0 to 1; got 1.5"),
        (Mixture(held_out=1.5), "a share below 1 or a number of rows; got 1.5"),
        (Mixture(held_out=40), "40 rows cannot be held out of the 3"),
        (Mixture(ngram=0), "1 word or more"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(tmp_path: Path, mixture: Mixture, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        mixed(tmp_path, [pair(i) for i in range(3)], mixture)


def test_a_constant_place_is_noted(tmp_path: Path) -> None:
    report, _ = mixed(tmp_path, [pair(i) for i in range(9)], msgspec.structs.replace(PLAIN, orders="as_is"))
    assert report.best_first["rl"] == 9
    assert "all 9 rows of rl stands at place 1" in report.notes[0]


# ---- benchmarks


def test_rows_of_a_benchmark_are_dropped_and_named(tmp_path: Path) -> None:
    asked = "Explain in a few words why the sky over the harbour turns red when the evening sun sets behind it."
    other = write(tmp_path / "other.jsonl", [{"question": "What is 7 + 1?"}])
    bench = (other, write(tmp_path / "b.jsonl", [{**pair(0), "prompt": asked}]))
    rows = [pair(7, id="short"), pair(8, id="near"), pair(9, id="long") | {"prompt": f"Please: {asked.upper()}"}]
    report, files = mixed(tmp_path, rows, msgspec.structs.replace(PLAIN, decontaminate=bench))
    assert report.dropped == {"in a benchmark": 2}
    assert [case.id for case in files["rl"]] == ["near"]
    assert [(one["prompts"], one["dropped"]) for one in report.benchmarks] == [(1, 1), (1, 1)]
    (short,), (long,) = (one["examples"] for one in report.benchmarks)
    assert short == {"id": "short", "source": "rows", "benchmark_row": 1, "words": "what is 7 1"}
    assert (long["id"], long["words"]) == ("long", "explain in a few words why the sky over the harbour turns red")
