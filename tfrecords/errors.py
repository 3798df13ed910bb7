"""Errors that a user can fix, with one-line messages.

Scripts print them without a traceback and exit with code 1. All other errors are
programming errors and keep their traceback.
"""


class DataError(ValueError):
    """Invalid input; the message states what is wrong, where, and what is accepted."""


class RecordError(DataError):
    """A record on disk that does not follow its schema."""

    def __init__(
        self, *, shard: str, index: int, key: str, expected: str, found: str
    ) -> None:
        super().__init__(
            f"{shard}, record {index}: `{key}` must be {expected}. Found: {found}."
        )


class MediaError(DataError):
    """A media file cannot be decoded to frames."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
