"""Rows and cases: reads what preference data comes as, writes our own rows.

`read_cases` takes files in many containers (`sources.py`) and forms (`formats/`, one file per form) and gives cases;
output rows are what is left of a judgment. It needs no protocol, engine or journal.
"""

from .anchors import join_anchors
from .formats._base import formats
from .reader import Cases, Skipped, read_cases
from .rows import Standing, case_row, judgment_row, parse_case, read_rows, stand, standing, write_rows
from .thoughts import Thoughts, without_thoughts

__all__ = [
    "Cases",
    "Skipped",
    "Standing",
    "Thoughts",
    "case_row",
    "formats",
    "join_anchors",
    "judgment_row",
    "parse_case",
    "read_cases",
    "read_rows",
    "stand",
    "standing",
    "without_thoughts",
    "write_rows",
]
