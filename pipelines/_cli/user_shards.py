"""Answers of a bundle about users, in Parquet shards that several processes can write.

The users are sorted and divided evenly, so that the shards of equal settings have equal
bytes, with any number of processes and machines. A run that was stopped continues with
the unfinished shards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app, bundles, raw_posts, sharding

if TYPE_CHECKING:
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.serving.predictor import Predictor
    from dc_keras.serving.raw_requests import RawUser

# Returns the rows about users, with a column user_id.
Answer = Callable[["Predictor", Sequence[str], Sequence["RawUser"]], "pl.DataFrame"]

flags.disclaim_key_flags()


def define(num_shards: int | None, text: str) -> None:
    """Defines --num_shards, --workers and the flags of --runner."""
    flags.DEFINE_integer("num_shards", num_shards, text, 1, 99_999)
    flags.DEFINE_integer(
        "workers",
        1,
        "Number of processes that write shards in parallel, each with one thread.",
        lower_bound=1,
    )
    sharding.define_runner("shard", gpus=True)


@dataclass(frozen=True)
class UserShards:
    """Shards of answers about users.

    Attributes:
        directory: Directory of the shards, which the caller must lock.
        flag: Name of its flag, for messages.
        name: First part of the names of the files.
        answer: Picklable function that returns the rows of a batch of users.
        columns: Data types of the rows by name, for shards without rows.
        settings: JSON values of everything else that determines the rows.
    """

    directory: Path
    flag: str
    name: str
    answer: Answer
    columns: Mapping[str, Any]
    settings: Mapping[str, Any]

    def write(
        self, corpus: Corpus, users: Sequence[str], media_root: str | None, script: str
    ) -> list[Path]:
        """Writes the missing shards, as the flags say; returns the paths of all."""
        from dc_keras.serving.bundle_config import find_sha256
        from tfrecords.storage.resumable import open_resumable

        source, count = bundles.source(), sharding.value("num_shards")
        shards = self._plan(sorted(users), count)
        settings = {
            **self.settings,
            "bundle_sha256": find_sha256(Path(source.bundle)),
            "corpus_sha256": corpus.sha256,
            "users_sha256": sha256("\n".join(sorted(users)).encode()).hexdigest(),
            "media_root": media_root,
            "num_shards": count,
        }
        done = open_resumable(self.directory, settings, script, flag=self.flag)
        missing = [shard for shard in shards if shard.path.name not in done]
        place, info = corpus.directory, corpus.info
        work = partial(_write_shard, self, source, place, info, media_root)
        self._run(work, missing)
        return [shard.path for shard in shards]

    def _run(self, write: partial[tuple[int, int]], missing: Sequence[_Shard]) -> None:
        from tqdm import tqdm

        from tfrecords.storage.resumable import finish_files
        from tfrecords.unit_runs import run_units

        cluster = sharding.cluster(sharding.value("workers"))
        workers = min(sharding.value("workers"), len(missing))
        is_here = cluster is None and workers < 2
        work = partial(write, is_here)
        runs = run_units(work, missing, "shard", workers=workers, cluster=cluster)
        without_posts = without_frames = 0
        with (
            closing(runs),
            tqdm(
                total=sum(len(shard.users) for shard in missing),
                desc="users",
                unit="user",
                # In this process, the users of each shard have a bar of their own.
                disable=True if is_here else None,
            ) as bar,
        ):
            for shard, (num_users, num_posts) in runs:
                finish_files(self.directory, [shard.path.name])
                bar.update(len(shard.users))
                without_posts += num_users
                without_frames += num_posts
        if without_posts:
            app.progress(f"{without_posts} users have no usable posts")
        if without_frames:
            app.progress(f"{without_frames} posts count without frames")

    def _plan(self, users: Sequence[str], count: int) -> list[_Shard]:
        ends = [len(users) * index // count for index in range(count + 1)]
        return [
            _Shard(
                self.directory / f"{self.name}-{index:05d}-of-{count:05d}.parquet",
                tuple(users[ends[index] : ends[index + 1]]),
            )
            for index in range(count)
        ]


def require_shards() -> None:
    """Checks that --num_shards suffices for --workers and --runner."""
    num_shards, workers = sharding.value("num_shards"), sharding.value("workers")
    if workers > max(1, num_shards or 0):
        raise DataError(
            "--num_shards must be at least --workers. Received: "
            f"num_shards={num_shards}, workers={workers}"
        )
    if sharding.cluster(workers) is not None and num_shards is None:
        raise DataError("--runner=ray needs --num_shards. Received: runner=ray")


@cache
def open_corpus(directory: Path) -> Corpus:
    """Returns a corpus, which is opened once in each process."""
    from dc_keras.corpus.store import Corpus

    return Corpus.open(directory)


class _Shard(NamedTuple):
    path: Path
    users: tuple[str, ...]


def _write_shard(
    shards: UserShards,
    bundle: bundles.Source,
    corpus_directory: Path,
    corpus_info: dict[str, Any],
    media_root: str | None,
    is_here: bool,
    shard: _Shard,
) -> tuple[int, int]:
    """Writes a shard in any process that sees the same files.

    Returns:
        The number of users without usable posts, and of posts without frames.
    """
    import polars as pl

    from dc_keras.corpus.store import Corpus
    from dc_keras.study.resolution import user_histories
    from tfrecords.progress import remove_leftovers_of, replacing
    from tfrecords.storage import integrity

    if not is_here:
        # The process that started the run has verified them.
        integrity.trust_everything()
    predictor, corpus = bundles.load(bundle), open_corpus(corpus_directory)
    found = user_histories(predictor.study, corpus.videos, shard.users)
    histories = {user: found[user] for user in shard.users if user in found}
    tables, without_frames = [pl.DataFrame(schema=shards.columns)], 0
    for users, raw_users in raw_posts.of_users(
        corpus, histories, media_root, predictor, shows_bar=is_here
    ):
        tables.append(shards.answer(predictor, users, raw_users))
        posts = [post for user in raw_users for post in user.posts]
        without_frames += sum(not post.jpegs for post in posts)
    # Another process may have opened a later corpus.
    Corpus(corpus_directory, corpus_info).require_unchanged()
    remove_leftovers_of(shard.path)
    with replacing(shard.path) as temporary:
        rows = pl.concat(tables[1:] or tables)
        rows.write_parquet(temporary, compression="zstd")
    if predictor.sampling is None:
        without_frames = 0
    return len(shard.users) - len(histories), without_frames
