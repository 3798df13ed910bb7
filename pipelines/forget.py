r"""Removes people and posts from a corpus and from everything that was made from it.

    python -m pipelines.forget --ids=remove.txt --key_file=pseudonym.key \
        --artifacts=run/corpus --artifacts=run/frames --artifacts=run/features/vgg16 \
        --artifacts=run/model --artifacts=run/evaluation

A line of --ids is the id of a post or of a user, a secUid, or a handle after an @.
--valid_ids instead lists what the platform still has; everything else is removed. At
the end, all files are searched for remaining traces, and a receipt without names is
written. The same command resumes an interrupted run. Models are not changed: those that
were trained on removed content are listed. See docs/privacy.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app, inputs

if TYPE_CHECKING:
    from dc_keras.corpus.forgotten import Forgotten
    from dc_keras.corpus.pseudonyms import Pseudonymizer
    from dc_keras.corpus.store import Corpus
    from dc_keras.privacy.artifacts import FoundArtifacts
    from dc_keras.privacy.journal import Journal
    from dc_keras.privacy.receipt import Receipt
    from dc_keras.privacy.removal_requests import RemovalRequests

_IDS = flags.DEFINE_string(
    "ids", None, "File of the people and posts to remove, one per line."
)
_VALID_IDS = flags.DEFINE_multi_string(
    "valid_ids",
    None,
    "File of the ids to keep, one per line; all others are removed; repeatable.",
)
_VALID_KIND = flags.DEFINE_enum(
    "valid_kind",
    "video",
    ["video", "user"],
    "Kind of the ids in --valid_ids.",
)
_KEY_FILE = flags.DEFINE_string(
    "key_file",
    None,
    "Key file of the pseudonyms. Default: ~/.config/dc_keras/pseudonym.key.",
)
_ARTIFACTS = flags.DEFINE_multi_string(
    "artifacts",
    None,
    "Directory to remove them from, or one that contains several at any depth; "
    "repeatable. A corpus must be among them.",
    required=True,
)
_RECEIPT = flags.DEFINE_string(
    "receipt",
    None,
    "File for the receipt. Default: forget-receipt-TIME.json in the corpus.",
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print what would be removed, and change nothing."
)
_MEDIA = flags.DEFINE_bool(
    "media",
    False,
    "Also delete the videos and images of removed posts below the media root.",
)
_ALLOW_MOST = flags.DEFINE_bool(
    "allow_most", False, "Allow the removal of more than half of the posts."
)

_MAX_PRINTED_LINES = 20
# Artifacts that are deleted as a whole, and the commands that create them.
_DELETED_WHOLE = {"survey": "survey_graph", "explanation": "explain"}


def main() -> int:
    """Removes, searches for traces and prints the result; returns the exit code."""
    from dc_keras.privacy.artifacts import find_artifacts
    from tfrecords.storage.locking import find_places, writing

    found = find_artifacts([Path(name) for name in _ARTIFACTS.value])
    corpora = {path.resolve() for path in found.of_kind("corpus")}
    # First, because another removal changes the lists that tell the other places.
    with writing(*corpora):
        pseudonymizer = _load_key(found)
        _, journal = _load_lists(found, pseudonymizer)
        found = journal.merge_artifacts(found)
        artifacts = {*found.artifacts, *journal.artifacts}
        # An interrupted run may have deleted an artifact but not its lock file.
        places = {item.path for item in artifacts if item.path.parent.is_dir()}
        # What another process writes now would not be cleaned.
        for name in _ARTIFACTS.value:
            places.update(find_places(Path(name)))
        others = {place.resolve() for place in places} - corpora
        with writing(*others):
            return _forget(found, pseudonymizer, corpora | others)


def _forget(
    found: FoundArtifacts, pseudonymizer: Pseudonymizer, places: Collection[Path]
) -> int:
    """Forgets while no other process may write `places`."""
    from dc_keras.corpus.store import Corpus
    from dc_keras.privacy.artifacts import remove_leftovers
    from dc_keras.privacy.journal import Journal
    from dc_keras.privacy.receipt import Receipt
    from dc_keras.privacy.removal_requests import require_few
    from dc_keras.privacy.training_data import find_trained_models

    corpora = [Corpus.open(place) for place in found.of_kind("corpus")]
    before, journal = _load_lists(found, pseudonymizer)
    rule, requests = _read_requests(corpora, pseudonymizer)
    if not _ALLOW_MOST.value:
        require_few(requests, corpora)
    requests = journal.merge_requests(requests)
    forgotten = before.with_codes(requests.codes)
    models = find_trained_models(found.of_kind("model", "bundle"), corpora, forgotten)
    models = list(dict.fromkeys((*models, *journal.trained_on_forgotten)))
    if not _DRY_RUN.value:
        journal = Journal(
            requests.requests, (*found.artifacts, *journal.artifacts), tuple(models)
        )
        _save_journal(found, forgotten, journal)
        for place in places:
            remove_leftovers(place)
    fingerprint = pseudonymizer.fingerprint
    receipt = Receipt(rule, requests, fingerprint, is_resumed=not before.is_finished)
    _remove(found, corpora, forgotten, receipt)
    is_new = receipt.has_changes or not before.is_finished
    if is_new:
        receipt.trained_on_forgotten = models
    _report(receipt, found)
    if _DRY_RUN.value:
        app.say("nothing was changed: --dry_run")
        return 0
    if _has_traces(found, forgotten):
        return 1
    if is_new or forgotten != before:
        path = receipt.path_in(corpora[0].directory)
        path = path if _RECEIPT.value is None else Path(_RECEIPT.value)
        receipt.write(path)
        app.say(f"{path}: the receipt")
    else:
        app.say("nothing to remove; nothing was changed")
    for corpus in corpora:
        replace(forgotten, journal=None).save(corpus.directory)
    return 0


def _load_key(found: FoundArtifacts) -> Pseudonymizer:
    from dc_keras.corpus.pseudonyms import DEFAULT_KEY_FILE
    from dc_keras.corpus.store import Corpus

    corpora = [Corpus.open(place) for place in found.of_kind("corpus")]
    if not corpora:
        raise DataError(
            "a corpus must be among the artifacts, because it relates posts to users. "
            f"Received: artifacts={', '.join(_ARTIFACTS.value)}"
        )
    key_file = DEFAULT_KEY_FILE if _KEY_FILE.value is None else _KEY_FILE.value
    pseudonymizer = inputs.load_pseudonymizer(corpora[0], key_file)
    for corpus in corpora:
        pseudonymizer.require_key_of(corpus.directory, corpus.info["key_fingerprint"])
    return pseudonymizer


def _read_requests(
    corpora: Sequence[Corpus], pseudonymizer: Pseudonymizer
) -> tuple[str, RemovalRequests]:
    """Returns the name of the rule that the flags select, and its requests."""
    from dc_keras.privacy.removal_requests import find_gone, find_requested, read_lines

    if (_IDS.value is None) == (_VALID_IDS.value is None):
        raise DataError(
            "exactly one of --ids and --valid_ids must be given. "
            f"Received: ids={_IDS.value}, valid_ids={_VALID_IDS.value}"
        )
    if _IDS.value is not None:
        lines = read_lines(Path(_IDS.value))
        return "ids", find_requested(lines, corpora, pseudonymizer)
    files, kind = _VALID_IDS.value or [], _VALID_KIND.value
    valid = [line for file in files for line in read_lines(Path(file)).values()]
    return f"valid {kind}", find_gone(valid, corpora, pseudonymizer, kind)


def _load_lists(
    found: FoundArtifacts, pseudonymizer: Pseudonymizer
) -> tuple[Forgotten, Journal]:
    """Returns the merged lists of forgotten ids, and the unfinished removals."""
    from dc_keras.corpus.forgotten import Forgotten
    from dc_keras.privacy.journal import Journal

    lists = [Forgotten.load(p, pseudonymizer) for p in found.of_kind("corpus")]
    fingerprints = frozenset().union(*(known.fingerprints for known in lists))
    journals = [known.journal for known in lists if known.journal is not None]
    forgotten = Forgotten(pseudonymizer, fingerprints, {} if journals else None)
    return forgotten, Journal.of(journals)


def _save_journal(
    found: FoundArtifacts, forgotten: Forgotten, journal: Journal
) -> None:
    """Records in each corpus what is to be removed, so that a run can be resumed."""
    for place in found.of_kind("corpus"):
        replace(forgotten, journal=journal.to_json()).save(place)


def _remove(
    found: FoundArtifacts,
    corpora: Sequence[Corpus],
    forgotten: Forgotten,
    receipt: Receipt,
) -> None:
    """Removes from the corpora last, because the other removals read them."""
    from dc_keras.privacy.corpus_removal import forget_corpus, forget_media
    from dc_keras.privacy.result_removal import forget_bundle, forget_results

    dry_run = _DRY_RUN.value
    if found.of_kind("frames", "features"):
        _remove_records(found, corpora, forgotten, receipt)
    _verify(found)
    for kind in ("model", "evaluation", "predictions", "reach"):
        for place in found.of_kind(kind):
            counts = forget_results(place, forgotten, dry_run=dry_run)
            receipt.add(place, kind, counts)
    for place in found.of_kind("bundle"):
        counts = forget_bundle(place, forgotten, dry_run=dry_run)
        receipt.add(place, "bundle", counts)
    _remove_from_graphs(found, forgotten, receipt)
    for corpus in corpora:
        if _MEDIA.value and corpus.media_root is not None:
            number = forget_media(corpus.media_root, forgotten, dry_run=dry_run)
            receipt.add(corpus.media_root, "media", Counter(files=number))
        counts = forget_corpus(corpus, forgotten, dry_run=dry_run)
        receipt.add(corpus.directory, "corpus", counts)


def _verify(found: FoundArtifacts) -> None:
    """Verifies checksums, so that no damaged file gets new, matching checksums."""
    from tfrecords.storage.integrity import verify_directory, verify_file

    scripts = {"model": "train", "bundle": "export_model"}
    scripts |= {"evaluation": "evaluate", "reach": "reach"}
    for kind, script in scripts.items():
        for place in found.of_kind(kind):
            verify_directory(place, script)
    for place in found.of_kind("predictions"):
        verify = verify_directory if place.is_dir() else verify_file
        verify(place, "predict")


def _remove_from_graphs(
    found: FoundArtifacts, forgotten: Forgotten, receipt: Receipt
) -> None:
    """Removes people from graphs, and deletes surveys and explanations about them."""
    from dc_keras.privacy.artifacts import discard
    from dc_keras.privacy.scan import find_traces
    from dc_keras.social.graph_store import read_graph, save_graph

    for place in found.of_kind("graph"):
        graph, info = read_graph(place)
        kept = [user for user in graph.users if not forgotten.has(user)]
        gone = len(graph.users) - len(kept)
        if gone and not _DRY_RUN.value:
            save_graph(place, graph.part(kept), info)
        receipt.add(place, "graph", Counter(rows=gone))
    for kind in _DELETED_WHOLE:
        for place in found.of_kind(kind):
            traces = len(list(find_traces([place], forgotten, ours=[place])))
            if traces and not _DRY_RUN.value:
                discard(place)
            receipt.add(place, kind, Counter(files=traces))


def _remove_records(
    found: FoundArtifacts,
    corpora: Sequence[Corpus],
    forgotten: Forgotten,
    receipt: Receipt,
) -> None:
    """Removes from frame and feature records; the only part that needs TensorFlow."""
    from dc_keras.privacy.record_removal import remove_from_features, remove_from_frames

    dry_run = _DRY_RUN.value
    frames = [
        remove_from_frames(place, corpora, forgotten, dry_run=dry_run)
        for place in found.of_kind("frames")
    ]
    sha256 = {old: new for removal in frames for old, new in removal.sha256.items()}
    for place in found.of_kind("features"):
        removal = remove_from_features(
            place, corpora, sha256, forgotten, dry_run=dry_run
        )
        receipt.add(place, "features", removal.counts)
    for removal in frames:
        removal.write_manifest()
        receipt.add(removal.directory, "frames", removal.counts)


def _has_traces(found: FoundArtifacts, forgotten: Forgotten) -> bool:
    """Searches all files for traces and prints those that contain any."""
    from dc_keras.privacy.scan import find_traces

    ours = [item.path for item in found.artifacts if item.path.exists()]
    places = [*map(Path, _ARTIFACTS.value), *ours]
    traces = list(find_traces(places, forgotten, ours=ours))
    for trace in traces:
        app.say(f"{trace.path}: {trace.reason}")
    return bool(traces)


def _report(receipt: Receipt, found: FoundArtifacts) -> None:
    for place, kind, counts in receipt.removed:
        text = ", ".join(f"{number} {unit}" for unit, number in counts.items())
        script = _DELETED_WHOLE.get(kind) if counts else None
        hint = f"; run {script} again" if script else ""
        app.say(f"{place}: {kind}, {text or 'nothing to remove'}{hint}")
    for line in list(receipt.requested.missing)[:_MAX_PRINTED_LINES]:
        app.say(f"line {line} is in no corpus; later imports will skip it")
    num_more = len(receipt.requested.missing) - _MAX_PRINTED_LINES
    if num_more > 0:
        app.say(f"… and {num_more} more lines")
    for place in receipt.trained_on_forgotten:
        app.say(f"{place}: trained on removed content: retrain or delete")
    for place in receipt.outdated:
        app.say(f"{place}: no longer matches the predictions: run evaluate again")
    for place in found.unknown:
        app.say(f"{place}: searched only, neither a corpus nor made from one")


if __name__ == "__main__":
    app.run(main)
