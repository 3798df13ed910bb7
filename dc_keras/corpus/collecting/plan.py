"""What to collect: targets, and the files that their answers go to."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from dc_keras.errors import DataError


@dataclass(frozen=True, slots=True)
class Target:
    """One list to ask for.

    Attributes:
        request: "hashtag", "user", "sound" or "suggested" (the group of a seed user).
        name: the hashtag, the handle or the id of the sound.
        sec_uid: of a user, where a suggestion told it already; else "".

    Raises:
        DataError: the name is empty, or a sound's is no number.
    """

    request: str
    name: str
    sec_uid: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise DataError(
                f"`{self.request}` must have a name. Received: {self.request}="
            )
        if self.request == "sound" and not re.fullmatch("[0-9]+", self.name):
            raise DataError(
                "`sound` must be the number at the end of the sound's address. "
                f"Received: sound={self.name}"
            )

    def __str__(self) -> str:
        return f"{self.request} {self.name}"

    @property
    def file_name(self) -> str:
        """A file name that no name can lead out of its directory; one a target."""
        readable = re.sub("[^A-Za-z0-9_]", "_", self.name)[:40]
        digest = hashlib.sha256(self.name.encode("utf-8")).hexdigest()[:12]
        return f"{self.request}-{readable}-{digest}.ndjson"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run collects.

    Attributes:
        targets: lists of posts, each once, in the order of asking.
        seed: the user whose suggestions lead to a group; None for no group.
        group_size: how many users the group should have.
        count: how many posts to collect of each target and of each of the group.
        with_media: whether to fetch the video of each post.
    """

    targets: tuple[Target, ...]
    seed: Target | None
    group_size: int
    count: int
    with_media: bool


def make_plan(
    *,
    hashtags: list[str],
    users: list[str],
    sounds: list[str],
    seed_user: str | None,
    group_size: int | None,
    count: int,
    with_media: bool,
) -> Plan:
    """Makes a plan of what a user typed; a leading # or @ is dropped.

    Raises:
        DataError: nothing is asked for, or one of seed user and group size is missing.
    """
    if (seed_user is None) != (group_size is None):
        raise DataError(
            "`seed_user` and `group_size` must be given together. "
            f"Received: seed_user={seed_user}, group_size={group_size}"
        )
    targets = (
        *(Target("hashtag", name.strip().removeprefix("#")) for name in hashtags),
        *(Target("user", name.strip().removeprefix("@")) for name in users),
        *(Target("sound", name.strip()) for name in sounds),
    )
    if not targets and seed_user is None:
        raise DataError(
            "one of `hashtag`, `user`, `sound` and `seed_user` must say what to "
            "collect. Received: none"
        )
    return Plan(
        targets=tuple(dict.fromkeys(targets)),
        seed=None
        if seed_user is None
        else Target("suggested", seed_user.strip().removeprefix("@")),
        group_size=0 if group_size is None else group_size,
        count=count,
        with_media=with_media,
    )
