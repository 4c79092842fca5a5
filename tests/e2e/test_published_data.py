"""Published preference files, where a folder of them lies beside the checkout: all rows are read, none is lost.

The folder is not part of the project; without it these tests are skipped. Rows are counted here on their own.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from thinkscore.data import read_cases
from thinkscore.errors import BadInput

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = {
    "hh-harmless-test/*.jsonl.gz": "hh",
    "judgebench/*.jsonl.gz": "judgebench",
    "judgebench/outputs/*.jsonl.gz": "judgebench",
    "rewardbench-2k/*.jsonl.gz": "labelled",
    "tldr-2k/*.jsonl.gz": "labelled",
    "rm-bench/*.json.gz": "rewardbench2",
    "j1-micro-traces/*.csv": "trl",
}
FOUND = [(path, name) for pattern, name in FILES.items() for path in sorted(DATA.glob(pattern))]
OTHERS = [
    path
    for pattern in ("gsm8k/test.jsonl.gz", "pandalm/testset-v1.json.gz", "xstest/*.csv.gz", "rewardbench-2k/*.csv")
    for path in sorted(DATA.glob(pattern))
]

pytestmark = pytest.mark.skipif(not FOUND, reason="no folder of published data beside the checkout")


def count(path: Path) -> int:
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        if ".csv" in path.name:
            return sum(1 for _ in csv.DictReader(file))
        return len(json.load(file)) if ".json." in path.name else sum(1 for line in file if line.strip())


@pytest.mark.parametrize(("path", "name"), FOUND, ids=[str(path.relative_to(DATA)) for path, _ in FOUND])
def test_every_row_of_a_published_file_is_read(path: Path, name: str) -> None:
    cases = read_cases(path)
    found = list(cases)
    assert cases.format is not None and cases.format.id == name
    assert len(found) == count(path) > 0
    assert all(case.gold is not None and max(case.gold) > min(case.gold) for case in found)


def test_constant_labels_are_kept_as_they_are() -> None:
    golds = Counter(case.gold for case in read_cases(next(DATA.glob("rewardbench-2k/*.jsonl.gz"))))
    assert set(golds) == {(1.0, 0.0)}


@pytest.mark.parametrize("path", OTHERS, ids=[str(path.relative_to(DATA)) for path in OTHERS])
def test_files_of_other_forms_are_refused_by_their_columns(path: Path) -> None:
    with pytest.raises(BadInput, match=r"no format has these columns: .*; formats with the columns they need: "):
        next(read_cases(path))
