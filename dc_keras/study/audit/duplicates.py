"""Finds posts with the same media or text, which may leak labels or users.

A few frames, spread evenly over each post, get a 64-bit hash: low frequencies of the
discrete cosine transform of the grey frame, compared with their median. Posts are also
compared by the mean brightness and colour of these frames. The hashes are robust to
changes of size, bitrate and codec, but not to cutting, mirroring, cropping or filters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import DisjointSet

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from dc_keras.study.audit.findings import (
    Check,
    Finding,
    Severity,
    named,
    places,
)
from dc_keras.study.participation import Grid
from dc_keras.study.split_manifest import Manifest

NUM_HASHED = 5
# Two posts are copies if their frames differ on average by at most this many of 64 bits
# and this much in colour (0 to 255). Measured in docs/audit.md.
MAX_MEAN_BITS = 3.0
MAX_MEAN_COLOUR = 6.0
# The hash of a black, white or blurred frame, whose grey values vary less, is noise.
_MIN_DEVIATION = 10.0
_SIDE_PX = 32
# Frames that differ in at most 3 of 64 bits have one of four 16-bit bands in common.
_BAND_BITS = 16

_Hashes = npt.NDArray[np.uint64]
_Mask = npt.NDArray[np.bool_]
_Rows = npt.NDArray[np.intp]
_MEDIA = "the same media twice"
_TEXT = "the same caption, sound and length twice"
# Shorter captions repeat by chance.
_MIN_CHARACTERS = 20
# Splits that hold out users.
_COLD_USERS = ("cold_user", "cold_both")


@dataclass(frozen=True)
class MediaHashes:
    """The hashes of posts.

    Attributes:
        video_ids: ids of the `num_videos` posts.
        bits: uint64 (num_videos, NUM_HASHED).
        colours: float32 (num_videos, NUM_HASHED, 3), mean Y, Cr and Cb, 0 to 255.
        is_usable: bool (num_videos, NUM_HASHED), False for a plain frame.
    """

    video_ids: tuple[str, ...]
    bits: _Hashes
    colours: npt.NDArray[np.float32]
    is_usable: _Mask


def hash_posts(posts: Iterable[tuple[str, Sequence[bytes]]]) -> MediaHashes:
    """Returns the hashes of posts.

    Args:
        posts: id and frames of each post; at least one JPEG file each, in order.

    Raises:
        DataError: if a frame is not an image.
    """
    video_ids, bits, colours, usable = [], [], [], []
    for video_id, frames in posts:
        hashed = [_hash_frame(_decode(video_id, frames[i])) for i in _spread(frames)]
        video_ids.append(video_id)
        bits.append([value or 0 for value, _ in hashed])
        usable.append([value is not None for value, _ in hashed])
        colours.append([colour for _, colour in hashed])
    shape = (len(video_ids), NUM_HASHED)
    return MediaHashes(
        tuple(video_ids),
        np.array(bits, np.uint64).reshape(shape),
        np.array(colours, np.float32).reshape(*shape, 3),
        np.array(usable, np.bool_).reshape(shape),
    )


def find_copies(hashes: MediaHashes) -> tuple[tuple[str, ...], ...]:
    """Returns the groups of posts that show the same media.

    The function compares only posts that have a band of hash bits in common, and still
    finds every pair within the limits: if frames differ by 3 bits on average, at least
    one frame differs by 3 bits or fewer and so has an equal band.

    Returns:
        Groups of at least two ids, each sorted, in order of their first ids.
    """
    kept = np.flatnonzero(_is_comparable(hashes.is_usable))
    rows = np.concatenate(
        [
            np.where(hashes.is_usable, hashes.bits, 0)[kept],
            hashes.is_usable[kept].astype(np.uint64),
            hashes.colours[kept]
            .round()
            .astype(np.uint64)
            .reshape(len(kept), 3 * NUM_HASHED),
        ],
        axis=1,
    )
    # Identical rows are merged: a clip posted 1,000 times would give a million pairs.
    _, first_of, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    distinct = kept[first_of]
    copies = DisjointSet(range(len(distinct)))
    for first, second in _close_pairs(hashes, distinct):
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            copies.merge(one, other)
    members: dict[int, list[str]] = defaultdict(list)
    for row, number in zip(kept.tolist(), group.ravel().tolist(), strict=True):
        members[copies[number]].append(hashes.video_ids[row])
    return tuple(sorted(tuple(sorted(ids)) for ids in members.values() if len(ids) > 1))


def _spread(frames: Sequence[bytes]) -> list[int]:
    """Returns the positions of the hashed frames: the middles of equal parts."""
    return [(2 * i + 1) * len(frames) // (2 * NUM_HASHED) for i in range(NUM_HASHED)]


def _decode(video_id: str, jpeg: bytes) -> npt.NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise DataError(
            f"post {video_id} must have JPEG frames; run verify_tfrecords. "
            f"Received: {len(jpeg)} other bytes"
        )
    return np.asarray(pixels, np.uint8)


def _hash_frame(
    pixels: npt.NDArray[np.uint8],
) -> tuple[int | None, npt.NDArray[np.float32]]:
    """Returns the hash of a frame, None for a plain one, and its colour (3,)."""
    side = (_SIDE_PX, _SIDE_PX)
    small = cv2.resize(pixels, side, interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    grey, colour = planes[..., 0], planes.mean(axis=(0, 1))
    if grey.std() < _MIN_DEVIATION:
        return None, colour
    # The first row and column are brightness and its gradients.
    low = cv2.dct(grey)[1:9, 1:9].ravel()
    signs = np.packbits(low > np.median(low))
    return int.from_bytes(signs.tobytes(), "big"), colour


def _is_comparable(is_usable: _Mask) -> _Mask:
    return np.asarray(2 * is_usable.sum(axis=1) > NUM_HASHED)


def _close_pairs(hashes: MediaHashes, kept: _Rows) -> Iterator[tuple[_Rows, _Rows]]:
    """Yields the positions in `kept` of pairs of copies, in batches."""
    for frame in range(NUM_HASHED):
        rows = np.flatnonzero(hashes.is_usable[kept, frame])
        values = hashes.bits[kept[rows], frame]
        for shift in range(0, 64, _BAND_BITS):
            band = values >> np.uint64(shift) & np.uint64(2**_BAND_BITS - 1)
            for first, second in _equal_pairs(band):
                one, other = rows[first], rows[second]
                close = _are_copies(hashes, kept[one], kept[other])
                yield one[close], other[close]


def _equal_pairs(values: _Hashes) -> Iterator[tuple[_Rows, _Rows]]:
    """Yields all pairs of positions with equal values, in batches."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first, lag = np.arange(len(values)), 1
    while True:
        first = first[first + lag < len(values)]
        first = first[ordered[first] == ordered[first + lag]]
        if not len(first):
            return
        yield order[first], order[first + lag]
        lag += 1


def _are_copies(hashes: MediaHashes, one: _Rows, other: _Rows) -> _Mask:
    """Returns whether each pair of posts shows the same media, bool (num_pairs,)."""
    both = hashes.is_usable[one] & hashes.is_usable[other]
    differing = np.bitwise_count(hashes.bits[one] ^ hashes.bits[other])
    apart = abs(hashes.colours[one] - hashes.colours[other]).max(axis=2)
    count = np.maximum(both.sum(axis=1), 1)
    return np.asarray(
        _is_comparable(both)
        & (np.where(both, differing, 0).sum(axis=1) / count <= MAX_MEAN_BITS)
        & (np.where(both, apart, 0).sum(axis=1) / count <= MAX_MEAN_COLOUR)
    )


def check_media(
    subject: str, grid: Grid, hashes: MediaHashes, manifests: Iterable[Manifest] = ()
) -> Check:
    """Finds posts of a grid with the same media."""
    uses = _PostUses(grid, manifests)
    hashed = uses.video_ids & set(hashes.video_ids)
    groups = [uses.video_ids & set(group) for group in find_copies(hashes)]
    findings = uses.find_duplicates(groups, "show the same media", "leak")
    return Check(_MEDIA, subject, "posts", len(hashed), tuple(findings))


def check_texts(
    subject: str,
    grid: Grid,
    posts: Mapping[str, Video],
    manifests: Iterable[Manifest] = (),
) -> Check:
    """Finds posts of a grid with the same caption, sound and length.

    Such posts are probably, but not certainly, copies: the findings are warnings.
    """
    uses = _PostUses(grid, manifests)
    known = uses.video_ids & posts.keys()
    groups: dict[object, set[str]] = defaultdict(set)
    for video_id in known:
        video = posts[video_id]
        caption = " ".join(video.caption.casefold().split())
        key = (caption, video.music_id, video.duration_s)
        if len(caption) >= _MIN_CHARACTERS and None not in key:
            groups[key].add(video_id)
    text = "have the same caption, sound and length"
    findings = uses.find_duplicates(groups.values(), text, "warning")
    return Check(_TEXT, subject, "posts", len(known), tuple(findings))


class _PostUses:
    """The users and challenges of each post of a grid and its manifests."""

    def __init__(self, grid: Grid, manifests: Iterable[Manifest]) -> None:
        self._users: dict[str, set[str]] = defaultdict(set)
        self._challenges: dict[str, set[str]] = defaultdict(set)
        for user, history in zip(grid.users, grid.histories, strict=True):
            for video in history:
                self._users[video].add(user)
        for challenge, support in zip(grid.challenges, grid.support, strict=True):
            for video in support:
                self._challenges[video].add(challenge)
        self.video_ids = {*self._users, *self._challenges}
        self._held_out = {
            name: fold.hidden_users
            for manifest in manifests
            if manifest.split in _COLD_USERS
            for name, fold in manifest.folds.items()
        }

    def find_duplicates(
        self, groups: Iterable[Collection[str]], how: str, severity: Severity
    ) -> list[Finding]:
        """Returns a finding for each group of at least two posts.

        Args:
            groups: groups of ids of posts with the same content.
            how: what the posts have in common, as a verb phrase.
            severity: the severity if the group connects a user with a challenge, or
                training users with held-out users; otherwise it is "warning".
        """
        several = sorted(sorted(group) for group in groups if len(group) > 1)
        return [self._describe(group, how, severity) for group in several]

    def _describe(self, group: list[str], how: str, severity: Severity) -> Finding:
        users = set().union(*(self._users.get(v, ()) for v in group))
        challenges = set().union(*(self._challenges.get(v, ()) for v in group))
        folds = [
            name
            for name, held_out in self._held_out.items()
            if users & held_out and users - held_out
        ]
        parts = [f"posts {named(group)} {how}"]
        if users and challenges:
            parts.append(
                f"in the history of {named(users)} and among the posts of "
                f"{named(challenges)}"
            )
        if folds:
            parts.append(f"of training users and of held-out users in {named(folds)}")
        is_leak = bool(users and challenges) or bool(folds)
        advice = (
            "keep one of them: a model may recognise the content"
            if is_leak
            else "each copy counts; keep one if that is not intended"
        )
        where = places(users=users, challenges=challenges, videos=group, folds=folds)
        return Finding(
            severity if is_leak else "warning", "; ".join(parts), advice, where
        )
