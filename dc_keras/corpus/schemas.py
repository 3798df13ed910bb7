"""The columns of the Parquet tables of a corpus."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import polars as pl

from dc_keras.corpus.records import Edge, User, Video

_COLUMN_TYPES: dict[Any, pl.DataType] = {
    str: pl.String(),
    str | None: pl.String(),
    int | None: pl.Int64(),
    float | None: pl.Float64(),
    bool: pl.Boolean(),
    tuple[str, ...]: pl.List(pl.String()),
}


def _schema_of(record: type[Any]) -> dict[str, pl.DataType]:
    types = typing.get_type_hints(record)
    return {
        field.name: _COLUMN_TYPES[types[field.name]]
        for field in dataclasses.fields(record)
    }


SCHEMAS: dict[type[Any], dict[str, pl.DataType]] = {
    record: _schema_of(record) for record in (Video, User, Edge)
}
