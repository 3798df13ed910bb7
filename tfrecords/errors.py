"""The errors that a user can mend, told in one line each.

Scripts print these without a traceback and exit with code 1; everything else is a
programmer's error and keeps its traceback.
"""


class DataError(ValueError):
    """Input that breaks a stated rule: what, where, and what would be right."""


class RecordError(DataError):
    """A record on disk that does not follow its schema.

    Args:
        shard: file name of the shard.
        index: position of the record in the shard, from 0.
        key: the feature key, or a word for the whole record.
        expected: what the schema asks for.
        found: what is there.
    """

    def __init__(
        self, *, shard: str, index: int, key: str, expected: str, found: str
    ) -> None:
        super().__init__(
            f"{shard}, record {index}: `{key}` must be {expected}. Found: {found}."
        )
        self.shard = shard
        self.index = index
        self.key = key
