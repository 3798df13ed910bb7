"""Collects the targets of a plan and reports the outcome of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_keras.corpus.collecting.answers import RefusedError
from dc_keras.corpus.collecting.plan import Plan, Target
from dc_keras.corpus.collecting.raw_pages import PostPages
from dc_keras.corpus.collecting.snowball import Snowball
from dc_keras.corpus.collecting.video_download import MediaCounts, fetch_media
from dc_keras.errors import DataError

if TYPE_CHECKING:
    from dc_keras.corpus.collecting.session import Session

Report = Callable[[str], None]

# After this many blocked targets in a row, the others are not requested.
_MOST_BLOCKED = 3
# The token is redacted in all saved text; real tokens have more than 100 characters.
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Outcome:
    """The collected data of one target after a run.

    Attributes:
        target: the requested target.
        collected: number of posts, or of users of a group.
        requested: number of posts or users requested.
        refusal: why posts are missing, or None. Fewer posts than requested without a
            refusal are all that the platform has.
        media: counts of the media files, if they were requested.
    """

    target: Target
    collected: int
    requested: int
    refusal: RefusedError | None
    media: MediaCounts | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was requested and exists is collected."""
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
    """Collects the targets of a plan, continuing from the files in the directory.

    Args:
        plan: what to collect.
        output: directory for raw/, details/ and media/; created if it does not exist.
        interval_s: minimum seconds between two requests.
        ms_token: the platform's cookie `msToken`, or None.
        browser: path of a Chromium, or None for the installed one.
        report: called with progress messages.

    Returns:
        One outcome per target: the group, the targets of the plan, the users of the
        group.

    Raises:
        DataError: the extra `collect` is not installed, the browser does not start, a
            raw file is invalid, or the token is truncated.
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
            outcomes.append(await _collect_group(snowball, plan.seed, session, report))
            targets += tuple(
                Target("user", member.handle, member.sec_uid)
                for member in snowball.members
            )
        for target in dict.fromkeys(targets):
            pages = PostPages(output, target)
            refusal = None
            if not pages.has(plan.count):
                refusal = _stop_if_blocked(outcomes)
                if refusal is None:
                    refusal = await _collect_posts(pages, plan.count, session, report)
            media = None
            if plan.with_media:
                report(f"{target}: media")
                media = await fetch_media(pages, output / "media", session)
            outcomes.append(
                Outcome(target, len(pages.post_ids), plan.count, refusal, media)
            )
    return outcomes


def _stop_if_blocked(outcomes: list[Outcome]) -> RefusedError | None:
    last = [outcome.refusal for outcome in outcomes[-_MOST_BLOCKED:]]
    is_blocked = [refusal is not None and not refusal.is_final for refusal in last]
    if len(last) == _MOST_BLOCKED and all(is_blocked):
        return RefusedError(
            f"not requested: the previous {_MOST_BLOCKED} targets were blocked"
        )
    return None


async def _collect_posts(
    pages: PostPages, count: int, session: Session, report: Report
) -> RefusedError | None:
    """Requests pages until there are `count` posts; returns why it stopped earlier."""

    def add_answer(request: str, cursor: Any, data: Any) -> None:
        pages.add_answer(request, cursor, data)
        report(f"{pages.target}: {len(pages.post_ids)} of {count} posts")

    posts = session.posts(
        pages.target, cursor=pages.cursor, detail=pages.detail, add_answer=add_answer
    )
    try:
        async for _ in posts:
            if pages.has(count):
                break
    except RefusedError as refused:
        return refused
    return None


async def _collect_group(
    snowball: Snowball, target: Target, session: Session, report: Report
) -> Outcome:
    """Requests suggestions until the group is full or there are no further users."""
    refusal = None
    if snowball.seed is None:
        try:
            await session.request_user(target.name, add_answer=snowball.add_answer)
        except RefusedError as refused:
            refusal = refused
    while not snowball.is_full and (user := snowball.next_user()) is not None:
        try:
            await session.request_suggestions(user, add_answer=snowball.add_answer)
        except RefusedError as refused:
            refusal = refused
            if not refused.is_final:
                break
        report(f"{target}: {len(snowball.members)} of {snowball.group_size} users")
    if refusal is None and not snowball.members:
        refusal = RefusedError("no users are suggested", is_final=True)
    if snowball.is_full:
        refusal = None
    return Outcome(target, len(snowball.members), snowball.group_size, refusal)
