"""The errors that a user can fix; commands print each as one line.

They are defined in `tfrecords.errors`, because records on disk know nothing of this
package.
"""

from tfrecords.errors import DataError, RecordError

__all__ = ["DataError", "RecordError", "require_type"]


def require_type(name: str, value: object, accepted: type) -> None:
    """Checks the type of an argument, which shows that two were swapped.

    Raises:
        TypeError: it has another type.
    """
    if not isinstance(value, accepted):
        raise TypeError(
            f"`{name}` must be a {accepted.__name__}. Received: {type(value).__name__}"
        )
