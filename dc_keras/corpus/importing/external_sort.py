"""External sort of posts by id: sorted parts on disk, merged in ranges of ids.

Posts arrive in any order and are written to disk in sorted parts; the most recent ones
stay in memory. They are read back in ranges of ids that are small enough for memory,
and all exports of a post are in the same range. The only other state is the number of
posts per id prefix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

ORDER = "order"

# About 60,000 posts; most exports are smaller and are never written to disk.
_BYTES_A_PART = 2**24
_POSTS_A_RANGE = 2**14
# The first 6 of 19 digits correspond to about 40 minutes of posting time.
_PREFIX = 6
# Small row groups, so that reading a range of ids can skip most of them.
_ROWS_A_GROUP = 2**11


class PostSorter:
    """Takes posts in any order and returns them as tables sorted by id."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pending: list[pl.DataFrame] = []
        self._pending_bytes = 0
        self._parts: list[pl.LazyFrame] = []
        self._known: Path | None = None
        self._prefixes: Counter[str] = Counter()
        self._num_posts = 0

    def add_existing(self, path: Path) -> None:
        """Adds the posts of the existing corpus, which count as the oldest."""
        self._known = path
        prefix = pl.col("video_id").str.slice(0, _PREFIX)
        counts = pl.scan_parquet(path).group_by(prefix).len().collect()
        self._prefixes.update(dict(counts.iter_rows()))

    def add(self, table: pl.DataFrame) -> None:
        """Adds posts: the fields of `Video`, and any further columns."""
        self._pending.append(table)
        self._pending_bytes += int(table.estimated_size())
        if self._pending_bytes >= _BYTES_A_PART:
            self._write_part()

    def ids_among(self, wanted: set[str]) -> set[str]:
        """Returns the ids that belong to posts in the sorter."""
        ids = pl.Series(sorted(wanted), dtype=pl.String).implode()
        found: set[str] = set()
        for rows in self._scans():
            kept = rows.select("video_id").filter(pl.col("video_id").is_in(ids))
            found.update(kept.collect()["video_id"])
        return found

    def tables(self) -> Iterator[pl.DataFrame]:
        """Yields all posts in ranges of ids, sorted by id and then by arrival.

        The column `order` counts the arrivals. Posts of the existing corpus have order
        -1, and null in the columns that are not fields of `Video`.
        """
        scans = self._scans()
        for low, high in self._ranges():
            is_inside = pl.col("video_id") >= low
            if high is not None:
                is_inside &= pl.col("video_id") < high
            rows = pl.concat(
                (scan.filter(is_inside).collect() for scan in scans), how="diagonal"
            )
            yield rows.sort("video_id", ORDER)

    def _write_part(self) -> None:
        table = self._gather().sort("video_id", ORDER)
        path = self._directory / f"part-{len(self._parts):05d}.parquet"
        table.write_parquet(path, compression="lz4", row_group_size=_ROWS_A_GROUP)
        self._parts.append(pl.scan_parquet(path))

    def _gather(self) -> pl.DataFrame:
        """Returns the posts since the last part, and clears them."""
        table = pl.concat(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        order = pl.int_range(self._num_posts, self._num_posts + table.height)
        self._num_posts += table.height
        prefixes = table["video_id"].str.slice(0, _PREFIX).value_counts()
        self._prefixes.update(dict(prefixes.iter_rows()))
        return table.with_columns(order.alias(ORDER))

    def _scans(self) -> list[pl.LazyFrame]:
        if self._pending:
            self._parts.append(self._gather().lazy())
        if self._known is None:
            return self._parts
        order = pl.lit(-1, dtype=pl.Int64).alias(ORDER)
        return [pl.scan_parquet(self._known).with_columns(order), *self._parts]

    def _ranges(self) -> Iterator[tuple[str, str | None]]:
        """Yields the first id of each range and that of the next range."""
        low, number = "", 0
        for prefix, count in sorted(self._prefixes.items()):
            if number and number + count > _POSTS_A_RANGE:
                yield low, prefix
                low, number = prefix, 0
            number += count
        if number:
            yield low, None
