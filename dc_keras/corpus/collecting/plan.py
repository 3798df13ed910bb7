"""The plan of a collection: targets, and the names of their files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from dc_keras.errors import DataError


@dataclass(frozen=True, slots=True)
class Target:
    """A list of posts or users to request.

    Attributes:
        request: "hashtag", "user", "sound" or "suggested" (the group of a seed user).
        name: the hashtag, the handle or the id of the sound.
        sec_uid: secUid of a user, if a suggestion contained it; else "".

    Raises:
        DataError: the name is empty, or the name of a sound is not a number.
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
        """A unique file name, which never contains a path separator."""
        readable = re.sub("[^A-Za-z0-9_]", "_", self.name)[:40]
        digest = hashlib.sha256(self.name.encode("utf-8")).hexdigest()[:12]
        return f"{self.request}-{readable}-{digest}.ndjson"


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one run.

    Attributes:
        targets: lists of posts, without repeats, in the order of the requests.
        seed: the user from whose suggestions the group is collected; None for no group.
        group_size: number of users in the group.
        count: number of posts to collect per target and per user of the group.
        with_media: whether to download the video of each post.
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
    """Makes a plan from command-line values; a leading # or @ is removed.

    Raises:
        DataError: there is no target, or only one of seed user and group size is given.
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
            "at least one of `hashtag`, `user`, `sound` and `seed_user` must be given. "
            "Received: none"
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
