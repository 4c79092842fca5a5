"""Writes typed rows as Parquet; the columns follow from their type, so that nulls in the first rows are no matter."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from ..errors import BadInput, require

__all__ = ["write_parquet"]

_GROUP = 1000  # rows held at a time


def write_parquet(path: str | Path, kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> int:
    """Write rows of one type and return how many; the file appears only when it is whole.

    Raises `BadInput` if it cannot be written, `MissingExtra` without pyarrow.
    """
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    schema = arrow.schema([(field.name, _column(field.type, arrow)) for field in msgspec.structs.fields(kind)])
    partial, count, source = Path(f"{path}.partial"), 0, iter(rows)
    try:
        with parquet.ParquetWriter(partial, schema) as writer:
            while group := [msgspec.to_builtins(row) for row in islice(source, _GROUP)]:
                writer.write_table(arrow.Table.from_pylist(group, schema))
                count += len(group)
        os.replace(partial, path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    return count


def _column(kind: Any, arrow: ModuleType) -> Any:
    """Find the column type of a field's type."""
    simple = {str: arrow.string, int: arrow.int64, float: arrow.float64, bool: arrow.bool_}
    if kind in simple:
        return simple[kind]()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return arrow.struct([(field.name, _column(field.type, arrow)) for field in msgspec.structs.fields(kind)])
    parts = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (part for part in parts if part is not type(None))
        return _column(inner, arrow)
    if get_origin(kind) is Literal:
        return arrow.string()
    return arrow.list_(_column(parts[0], arrow))
