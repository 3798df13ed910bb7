r"""Imports exports of posts into a corpus directory, and finds their media.

    python -m pipelines.import_corpus --input='exports/**/*.json' \
        --media_root=media --corpus=corpus

Reads JSON, JSON Lines, tables and saved pages of the usual tools (docs/importing.md
lists them), also in archives; --input may be a directory. Prints the recognised format
of each file and the reasons of rejected records. Exits with 1 if no record could be
read.

Writes to --corpus: videos.parquet, users.parquet and ties.parquet (one row per post,
person or tie; identities are pseudonyms), quarantine.jsonl (rejected records with their
reasons), corpus.json, and DATASET_CARD.md (summary of the corpus and its missing
values). Importing a file again changes nothing; further files are merged. The key of
the pseudonyms is created on first use, outside the corpus: keep it, because later files
cannot be merged without it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from absl import flags

from pipelines._cli import app, sharding

if TYPE_CHECKING:
    from pathlib import Path

    from dc_keras.corpus.importing.importer import ImportSummary
    from dc_keras.corpus.importing.unit_content import FileReport, SourceCounts

_MOST_FILES = 50
_MOST_REASONS = 5
_INPUT = flags.DEFINE_multi_string(
    "input",
    None,
    "Export file, directory or glob pattern (quote it; ** for any depth); repeatable.",
    required=True,
)
_SOURCE = flags.DEFINE_string(
    "source",
    "auto",
    "Format of the exports. auto: recognised for each record. Others: aweme, "
    "bright_data, comment, content_scraper, display_api, douk, fourcat_csv, hand_made, "
    "minet, own_data, pyktok, pytok, research_api, research_followers, "
    "research_following, share_item, simple_dict, suggested, tiktok_10m, "
    "tiktok_scraper, tikwm, traktok, web_item, whichtok_users, whichtok_videos, "
    "yt_dlp.",
)
_SOURCE_FILE = flags.DEFINE_string(
    "source_file",
    None,
    "Python file that registers a custom format; it is executed.",
)
_MEDIA_ROOT = flags.DEFINE_string(
    "media_root",
    None,
    "Directory to search for videos and slides by video id. Default: the corpus's.",
)
_CORPUS = flags.DEFINE_string(
    "corpus", None, "Corpus directory to make or to add to.", required=True
)
_KEY_FILE = flags.DEFINE_string(
    "key_file",
    None,
    "Secret key of the pseudonyms; created with mode 0600 if missing. "
    "Default: ~/.config/dc_keras/pseudonym.key.",
)
_KEEP_HANDLES = flags.DEFINE_bool(
    "keep_handles", False, "Keep handles in addition to their pseudonyms."
)
_KEEP_RAW = flags.DEFINE_bool(
    "keep_raw", False, "Keep the raw content of rejected records in quarantine.jsonl."
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    None,
    "Number of processes that read the exports: large JSON Lines files in parts, other "
    "files as a whole. Default: 1; with --runner=ray, all CPUs of this machine.",
    lower_bound=1,
)
sharding.define_runner("part of the exports")
_STUDY = flags.DEFINE_string(
    "study", None, "Study whose challenges DATASET_CARD.md counts."
)
_TEXT = flags.DEFINE_string(
    "text",
    None,
    "BERT whose unknown words DATASET_CARD.md measures in the captions: "
    "hub:PATH_OR_URL or keras_nlp:PRESET_OR_DIR.",
)


def main() -> int:
    """Imports the input files and prints the numbers of imported and rejected records.

    Returns:
        1 if no record could be read.
    """
    from pathlib import Path

    from dc_keras.corpus.importing.importer import import_files
    from dc_keras.corpus.pseudonyms import (
        DEFAULT_KEY_FILE,
        Pseudonymizer,
        load_or_create_key,
    )
    from dc_keras.corpus.store import write_sealed
    from dc_keras.study.dataset_card import CARD_FILE, describe
    from dc_keras.study.study import Study

    cluster = sharding.cluster(_WORKERS.value)
    study = None if _STUDY.value is None else Study.load(_STUDY.value)
    corpus_dir = Path(_CORPUS.value)
    key_file = DEFAULT_KEY_FILE if _KEY_FILE.value is None else _KEY_FILE.value
    key = load_or_create_key(Path(key_file), corpus_dir=corpus_dir)

    def write_card(summary: ImportSummary) -> None:
        unknown = _unknown_words(corpus_dir, _TEXT.value) if _TEXT.value else None
        files = summary.files
        card = describe(corpus_dir, study=study, unknown_words=unknown, files=files)
        write_sealed(corpus_dir / CARD_FILE, card)

    summary = import_files(
        _INPUT.value,
        corpus_dir,
        pseudonymizer=Pseudonymizer(key),
        source=_SOURCE.value,
        source_file=_SOURCE_FILE.value,
        media_root=_MEDIA_ROOT.value,
        keep_handles=_KEEP_HANDLES.value,
        keep_raw=_KEEP_RAW.value,
        workers=_WORKERS.value or 1,
        cluster=cluster,
        then=write_card,
    )
    _report(summary)
    app.say(
        f"{corpus_dir}: {summary.num_videos} posts, {summary.num_users} people, "
        f"{summary.num_edges} ties in addition to those in posts"
    )
    app.say(f"{corpus_dir / CARD_FILE}: summary of the corpus and its missing values")
    if summary.num_recognised:
        app.say(
            f"{summary.num_recognised} existing posts were removed, because these "
            "files relate them to forgotten people; run forget again with the same "
            "--artifacts to remove what was made from them"
        )
    if summary.total.quarantined:
        app.say(f"{corpus_dir / 'quarantine.jsonl'}: rejected records with reasons")
    if summary.is_empty:
        return app.fail(f"no record could be read: {_main_reason(summary)}", 1)
    frames = corpus_dir.parent / "frames"
    app.suggest("write_tfrecords", corpus=corpus_dir, output=frames)
    return 0


def _unknown_words(corpus_dir: Path, handle: str) -> tuple[str, float]:
    """Measures the share of the captions' words that are unknown to a BERT."""
    from dc_keras.corpus.store import Corpus
    from dc_keras.encoders.text import (
        TextSpec,
        build_text_encoder,
        unknown_token_share,
    )

    encoder = build_text_encoder(TextSpec(handle))
    captions = Corpus.open(corpus_dir).videos["caption"].to_list()
    return handle, unknown_token_share(encoder, captions)


def _report(summary: ImportSummary) -> None:
    for file in summary.files[:_MOST_FILES]:
        app.say(f"{file.name}: {_recognised(file)}")
        for reason, number in file.reasons.most_common(_MOST_REASONS):
            app.say(f"    {number} not read: {reason} ({file.examples[reason]})")
        if len(file.reasons) > _MOST_REASONS:
            app.say(f"    and {len(file.reasons) - _MOST_REASONS} further reasons")
    if len(summary.files) > _MOST_FILES:
        app.say(f"and {len(summary.files) - _MOST_FILES} further files")
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


def _recognised(file: FileReport) -> str:
    """Returns the recognised records of a file, such as `3 tikwm, 1 comment`."""
    found = [f"{number} {name}" for name, number in file.sources.most_common()]
    return ", ".join(found) or "no records"


def _main_reason(summary: ImportSummary) -> str:
    reasons: Counter[str] = Counter()
    for file in summary.files:
        reasons.update(file.reasons)
    if not reasons:
        return "no record in any file"
    [(reason, _)] = reasons.most_common(1)
    return reason


def _line(counts: SourceCounts) -> str:
    forgotten = f" + {counts.forgotten} forgotten" if counts.forgotten else ""
    return (
        f"{counts.given} given = {counts.imported} imported + {counts.merged} merged "
        f"+ {counts.quarantined} quarantined{forgotten}"
    )


if __name__ == "__main__":
    app.run(main, writes="corpus", kind="corpus", locks=False)
