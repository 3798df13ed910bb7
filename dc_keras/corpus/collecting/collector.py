"""Runs a plan: target after target, and says of each what is there and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_keras.corpus.collecting.answers import RefusedError
from dc_keras.corpus.collecting.video_download import MediaCounts, fetch_media
from dc_keras.corpus.collecting.plan import Plan, Target
from dc_keras.corpus.collecting.collected_posts import PostPages
from dc_keras.corpus.collecting.snowball import Snowball
from dc_keras.errors import DataError

if TYPE_CHECKING:
    from dc_keras.corpus.collecting.session import Session

Report = Callable[[str], None]

# Who blocks this many targets in a row is not asked for the others.
_MOST_BLOCKED = 3
# The token is blotted out of all that is saved; a real one has over 100 characters.
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Outcome:
    """What is there of one target after a run.

    Attributes:
        target: what was asked for.
        found: how many posts, or users of a group.
        wanted: how many were asked for.
        refusal: why there are not more, or None. Fewer than wanted without a refusal
            are all that the platform has.
        media: what became of the media, if they were asked for.
    """

    target: Target
    found: int
    wanted: int
    refusal: RefusedError | None
    media: MediaCounts | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for and exists is there."""
        return self.refusal is None and (self.media is None or not self.media.missing)


def collect(
    plan: Plan,
    output: Path,
    *,
    interval_s: float,
    ms_token: str | None,
    browser: Path | None,
    report: Report,
) -> list[Outcome]:
    """Collects what a plan says, going on from what lies in the directory.

    Args:
        plan: what to collect.
        output: gets raw/, details/ and media/; made if missing.
        interval_s: least seconds between two requests.
        ms_token: the platform's cookie `msToken`, or None.
        browser: path of a Chromium, or None for the one that is installed.
        report: gets a line about what is under way.

    Returns:
        One outcome a target: the group, what the plan names, the group's users.

    Raises:
        DataError: the extra `collect` is not installed, the browser does not start, or
            a raw file is not one; or the token is cut off.
    """
    try:
        from dc_keras.corpus.collecting.session import Session, chromium
    except ImportError as error:
        raise DataError(
            "live collection needs the extra `collect`: "
            f"pip install 'dc_keras[collect]'. Received: {error}"
        ) from error
    if ms_token is not None and len(ms_token) < _SHORTEST_TOKEN:
        raise DataError(
            "the token must be the whole value of the cookie `msToken`. "
            f"Received: {len(ms_token)} characters"
        )
    session = Session(
        open_context=chromium(browser),
        interval_s=interval_s,
        ms_token=ms_token,
    )
    return asyncio.run(_run(plan, output, session, report))


async def _run(
    plan: Plan, output: Path, session: Session, report: Report
) -> list[Outcome]:
    outcomes = []
    targets = plan.targets
    async with session:
        if plan.seed is not None:
            snowball = Snowball(output, plan.seed, plan.group_size)
            outcomes.append(await _grow(snowball, plan.seed, session, report))
            targets += tuple(
                Target("user", member.handle, member.sec_uid)
                for member in snowball.members
            )
        for target in dict.fromkeys(targets):
            pages = PostPages(output, target)
            refusal = None
            if not pages.has(plan.count):
                refusal = _give_up(outcomes)
                if refusal is None:
                    refusal = await _read_on(pages, plan.count, session, report)
            media = None
            if plan.with_media:
                report(f"{target}: media")
                media = await fetch_media(pages, output / "media", session)
            outcomes.append(
                Outcome(target, len(pages.post_ids), plan.count, refusal, media)
            )
    return outcomes


def _give_up(outcomes: list[Outcome]) -> RefusedError | None:
    last = [outcome.refusal for outcome in outcomes[-_MOST_BLOCKED:]]
    is_blocked = [refusal is not None and not refusal.is_final for refusal in last]
    if len(last) == _MOST_BLOCKED and all(is_blocked):
        return RefusedError(
            f"not asked: the {_MOST_BLOCKED} targets before were blocked"
        )
    return None


async def _read_on(
    pages: PostPages, count: int, session: Session, report: Report
) -> RefusedError | None:
    """Asks for pages until there are `count` posts, or no more; says why it stopped."""

    def take(request: str, cursor: Any, data: Any) -> None:
        pages.take(request, cursor, data)
        report(f"{pages.target}: {len(pages.post_ids)} of {count} posts")

    posts = session.posts(
        pages.target, cursor=pages.cursor, detail=pages.detail, take=take
    )
    try:
        async for _ in posts:
            if pages.has(count):
                break
    except RefusedError as refused:
        return refused
    return None


async def _grow(
    snowball: Snowball, target: Target, session: Session, report: Report
) -> Outcome:
    """Asks for suggestions until the group has its size, or they lead no further."""
    refusal = None
    if snowball.seed is None:
        try:
            await session.ask_user(target.name, take=snowball.take)
        except RefusedError as refused:
            refusal = refused
    while not snowball.is_full and (user := snowball.next_user()) is not None:
        try:
            await session.ask_suggested(user, take=snowball.take)
        except RefusedError as refused:
            refusal = refused
            if not refused.is_final:
                break
        report(f"{target}: {len(snowball.members)} of {snowball.group_size} users")
    if refusal is None and not snowball.members:
        refusal = RefusedError("no users are suggested", is_final=True)
    found = len(snowball.members)
    is_missed = not snowball.is_full
    return Outcome(target, found, snowball.group_size, refusal if is_missed else None)
