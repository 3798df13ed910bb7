"""The errors that a user can fix; commands print each as one line.

They are defined in `tfrecords.errors`, because records on disk know nothing of this
package.
"""

from tfrecords.errors import DataError, RecordError

__all__ = ["DataError", "RecordError"]
