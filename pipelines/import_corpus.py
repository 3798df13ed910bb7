r"""Imports exports of posts, and finds their media, into a corpus directory.

    python -m pipelines.import_corpus --input='exports/**/*.json' \
        --media_root=media --corpus=corpus

Leaves behind in --corpus: videos.parquet and users.parquet (one row a post, one an
author, all identities as pseudonyms), quarantine.jsonl (what could not be read, why)
and corpus.json. Importing a file again changes nothing; further files merge. The key of
the pseudonyms is made on first use and lies outside the corpus: keep it, or later files
cannot be merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from pipelines import app

if TYPE_CHECKING:
    from dc_keras.corpus.importing import ImportSummary
    from dc_keras.corpus.intake import SourceCounts

_INPUT = flags.DEFINE_multi_string(
    "input",
    None,
    "Export file or glob pattern (quote it; ** for any depth); repeatable.",
    required=True,
)
_SOURCE = flags.DEFINE_string(
    "source",
    "auto",
    "Format of the exports: auto (told by each record's shape), web_item, share_item.",
)
_MEDIA_ROOT = flags.DEFINE_string(
    "media_root",
    None,
    "Directory to search for videos and slides by video id. Default: the corpus's own.",
)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "Corpus directory to make or to add to.", required=True
)
_KEY_FILE = flags.DEFINE_string(
    "key_file",
    None,
    "Secret key of the pseudonyms; made (mode 0600) if missing. "
    "Default: ~/.config/dc_keras/pseudonym.key.",
)
_KEEP_HANDLES = flags.DEFINE_bool(
    "keep_handles", False, "Keep handles beside their pseudonyms."
)
_KEEP_RAW = flags.DEFINE_bool(
    "keep_raw", False, "Let quarantine.jsonl hold the raw content of what it names."
)


def main() -> None:
    """Imports the files that the flags name and prints what became of each record."""
    from pathlib import Path

    from dc_keras.corpus.importing import import_files
    from dc_keras.corpus.privacy import (
        DEFAULT_KEY_FILE,
        Pseudonymizer,
        load_or_create_key,
    )

    corpus_dir = Path(_CORPUS.value)
    key_file = DEFAULT_KEY_FILE if _KEY_FILE.value is None else _KEY_FILE.value
    key = load_or_create_key(Path(key_file), corpus_dir=corpus_dir)
    summary = import_files(
        _INPUT.value,
        corpus_dir,
        pseudonymizer=Pseudonymizer(key),
        source=_SOURCE.value,
        media_root=_MEDIA_ROOT.value,
        keep_handles=_KEEP_HANDLES.value,
        keep_raw=_KEEP_RAW.value,
    )
    _report(summary)
    app.say(f"{corpus_dir}: {summary.num_videos} posts by {summary.num_users} authors")
    if summary.total.quarantined:
        app.say(f"{corpus_dir / 'quarantine.jsonl'}: what was not read, and why")


def _report(summary: ImportSummary) -> None:
    app.say(f"{summary.num_files} files, {summary.num_empty_files} of them empty")
    for name, counts in (*summary.sources.items(), ("all", summary.total)):
        app.say(f"{name}: {_line(counts)}")
        if name != "all":
            for note, number in counts.notes.items():
                app.say(f"    {note}: {number}")
    media = summary.media
    if media is not None:
        app.say(
            f"media: {media.with_video} posts with a video, {media.with_slides} with "
            f"slides, {media.without} without, {media.ambiguous} with several files"
        )


def _line(counts: SourceCounts) -> str:
    return (
        f"{counts.given} given = {counts.imported} imported + {counts.merged} merged "
        f"+ {counts.quarantined} quarantined"
    )


if __name__ == "__main__":
    app.run(main)
