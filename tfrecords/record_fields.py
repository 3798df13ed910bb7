"""Fields of a record: writing and strict reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import tensorflow as tf
from google.protobuf.message import DecodeError

from tfrecords.errors import RecordError

_LISTS = {
    "bytes": ("bytes_list", tf.train.BytesList),
    "int64": ("int64_list", tf.train.Int64List),
    "float": ("float_list", tf.train.FloatList),
}


@dataclass(frozen=True)
class Field:
    """One key of a record.

    Attributes:
        key: Feature key.
        kind: Type of the list of its values.
        count: Number of values; None for any number.
        is_optional: Whether the key may be absent.
    """

    key: str
    kind: Literal["bytes", "int64", "float"]
    count: int | None = 1
    is_optional: bool = False

    def make_feature(self, values: Sequence[Any]) -> Any:
        """Returns the values as a `tf.train.Feature`."""
        name, make_list = _LISTS[self.kind]
        return tf.train.Feature(**{name: make_list(value=values)})


@dataclass(frozen=True)
class RecordReader:
    """Reads the fields of one record, and raises an error if it violates the schema.

    Attributes:
        shard: File name of the shard, for errors.
        index: Position of the record in the shard, for errors.
    """

    shard: str
    index: int

    def fail(self, key: str, expected: str, found: str) -> NoReturn:
        """Raises the `RecordError` for a key of this record."""
        raise RecordError(
            shard=self.shard, index=self.index, key=key, expected=expected, found=found
        )

    def parse(self, message: Any, serialized: bytes) -> Any:
        """Returns the protobuf message."""
        try:
            return message.FromString(serialized)
        except DecodeError:
            self.fail(
                "record", f"a {message.__name__}", f"{len(serialized)} other bytes"
            )

    def read(self, features: Mapping[str, Any], field: Field) -> list[Any]:
        """Returns the values of a field; [] for an absent optional field."""
        if field.key not in features:
            if not field.is_optional:
                self.fail(field.key, "present", "nothing")
            return []
        return self._read_feature(features[field.key], field)

    def read_texts(self, features: Mapping[str, Any], field: Field) -> list[str]:
        """Returns the values of a field, decoded from UTF-8."""
        values = self.read(features, field)
        try:
            return [value.decode() for value in values]
        except UnicodeDecodeError as error:
            self.fail(field.key, "UTF-8 text", repr(error.object[:40]))

    def read_steps(self, lists: Mapping[str, Any], field: Field) -> list[Any]:
        """Returns the single value of each step of a feature list."""
        if field.key not in lists:
            self.fail(field.key, "present", "nothing")
        steps = lists[field.key].feature
        return [self._read_feature(step, field)[0] for step in steps]

    def _read_feature(self, feature: Any, field: Field) -> list[Any]:
        name = _LISTS[field.kind][0]
        actual = feature.WhichOneof("kind")
        # Writers may omit an empty list.
        if actual not in (name, None):
            self.fail(field.key, f"a {name}", f"a {actual}")
        values = list(getattr(feature, name).value)
        if field.count is not None and len(values) != field.count:
            self.fail(field.key, f"{field.count} values", f"{len(values)}")
        return values
