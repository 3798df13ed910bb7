r"""Checks a study and its data for leaks, duplicates and impossible numbers.

    python -m pipelines.audit --corpus=run/corpus --study=studies/paper.toml \
        --manifest=run/evaluation/manifests --records=run/frames \
        --features=run/features/vgg16 --output=run/audit.json

Without --manifest it checks the study as `evaluate` would resolve it. --table checks a
published table, a CSV file with the columns model, precision, recall and f1, and needs
no corpus. Prints the findings and one line per check, and writes all findings to
--output. The exit code is 1 for a leak or an impossible number, 2 for flags that do not
fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from dc_keras.options import StudyOptions
from pipelines._cli import app, inputs, option_flags

if TYPE_CHECKING:
    from dc_keras.study.audit.duplicates import MediaHashes
    from dc_keras.study.audit.findings import Check
    from dc_keras.study.audit.focal_marks import Cleaning

_CORPUS = flags.DEFINE_string("corpus", None, "Corpus directory.")
_STUDY = flags.DEFINE_string(
    "study", None, "Study file (TOML); with --manifest for spellings of hashtags only."
)
_MANIFEST = flags.DEFINE_multi_string(
    "manifest", [], "Manifest of evaluate, or a directory of manifests; repeatable."
)
_RECORDS = flags.DEFINE_string(
    "records", None, "Directory of frame records, to search for duplicated media."
)
_FEATURES = flags.DEFINE_multi_string(
    "features",
    [],
    "Directory of feature records, to check captions as its text encoder received "
    "them; repeatable.",
)
_TABLE = flags.DEFINE_multi_string(
    "table", [], "Published table as CSV: model, precision, recall, f1; repeatable."
)
_TABLE_CLASSES = flags.DEFINE_integer(
    "table_classes",
    None,
    "Number of classes of the table; 2 allows more checks. Default: unknown.",
    lower_bound=2,
)
_TABLE_AVERAGING = flags.DEFINE_enum(
    "table_averaging",
    "macro",
    ["macro", "yes"],
    "Whether the numbers are unweighted means over the classes, or of the class yes.",
)
_PREVALENCE = flags.DEFINE_float(
    "prevalence", None, "Share of positive pairs among the pairs of the table."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for all findings.")
option_flags.define(StudyOptions)


def main() -> int:
    """Prints the findings and returns the exit code."""
    misuse = _find_misuse()
    if misuse:
        return app.fail(misuse, 2)

    from dc_keras.corpus.store import write_text
    from dc_keras.study.audit.findings import Report
    from tfrecords.storage.atomic_update import require_separate
    from tfrecords.storage.locking import writing

    if _OUTPUT.value is not None:
        require_separate(Path(_OUTPUT.value))
    checks = _audit_tables()
    if _CORPUS.value is not None:
        checks += _audit_corpus(_CORPUS.value)
    report = Report(tuple(checks))
    findings = report.describe_findings()
    if findings:
        app.show(findings + "\n")
    app.show(report.describe_counts())
    app.show("\n" + report.describe_verdict())
    if _OUTPUT.value is not None:
        output = Path(_OUTPUT.value)
        with writing(output):
            write_text(output, report.to_json())
        app.say(f"{output}: all findings")
    return 0 if report.is_sound else 1


def _find_misuse() -> str | None:
    if _CORPUS.value is None:
        corpus_flags = (_STUDY, _MANIFEST, _RECORDS, _FEATURES)
        if any(flag.value for flag in corpus_flags) or not _TABLE.value:
            return "give --corpus with --study or --manifest, or --table, or both"
    elif not (_STUDY.value or _MANIFEST.value):
        return "give --study or --manifest with --corpus"
    table_options = (_TABLE_CLASSES.value, _PREVALENCE.value)
    if not _TABLE.value and any(value is not None for value in table_options):
        return "--table_classes and --prevalence need --table"
    return None


def _audit_tables() -> list[Check]:
    if not _TABLE.value:
        return []
    from dc_keras.study.audit.published import check_table, read_table

    return [
        check
        for path in _TABLE.value
        for check in check_table(
            read_table(Path(path)),
            num_classes=_TABLE_CLASSES.value,
            averaging=_TABLE_AVERAGING.value,
            prevalence=_PREVALENCE.value,
        )
    ]


def _audit_corpus(directory: str) -> list[Check]:
    from dc_keras.corpus.store import Corpus
    from dc_keras.study.audit import checks as audit
    from dc_keras.study.audit.sides import shown_videos
    from dc_keras.study.split_manifest import Manifest
    from dc_keras.study.study import Study

    corpus, study_file = Corpus.open(directory), _STUDY.value or ""
    paths = audit.find_manifests([Path(path) for path in _MANIFEST.value])
    manifests = {path: Manifest.read(path) for path in paths}
    grids = [manifest.grid for manifest in manifests.values()] or [
        inputs.load_grid(corpus, study_file)
    ]
    sources = audit.Sources(
        videos=corpus.videos,
        mask=_mask,
        study=Study.load(study_file) if study_file else None,
        cleanings=_read_cleanings(),
        hashes=_hash_records(_RECORDS.value, set().union(*map(shown_videos, grids))),
    )
    if manifests:
        return audit.audit_manifests(manifests, sources)
    return audit.audit_grid(study_file, grids[0], sources)


def _mask(focal_hashtags: Sequence[str]) -> Cleaning:
    from dc_keras.encoders.captions import CaptionCleaner

    return CaptionCleaner("mask_focal", focal_hashtags).clean


def _read_cleanings() -> dict[str, Cleaning | None] | None:
    if not _FEATURES.value:
        return None
    from dc_keras.encoders.text import restore_cleaner
    from tfrecords.writer import read_manifest

    cleanings: dict[str, Cleaning | None] = {}
    for name in _FEATURES.value:
        text = read_manifest(Path(name), "features")["settings"]["text"]
        try:
            cleanings[name] = None if text is None else restore_cleaner(text).clean
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    return cleanings


def _hash_records(directory: str | None, video_ids: set[str]) -> MediaHashes | None:
    if directory is None:
        return None
    from dc_keras.study.audit.duplicates import hash_posts
    from tfrecords.reader import iter_frame_records, list_shard_paths
    from tfrecords.writer import read_manifest

    read_manifest(Path(directory), "frames")
    app.progress(f"hashing the frames of up to {len(video_ids)} posts")
    return hash_posts(
        (record.video_id, record.jpegs)
        for shard in list_shard_paths(Path(directory))
        for record in iter_frame_records(shard)
        if record.jpegs and record.video_id in video_ids
    )


if __name__ == "__main__":
    app.run(main)
