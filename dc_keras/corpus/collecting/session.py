"""One session of TikTokApi, polite, whose answers are saved before they are read.

TikTokApi 7.3 signs the requests, asks in a page of a real browser and follows the
cursors. What is added here sits at its two narrow places: `run_fetch_script`, where an
answer is still the text that the platform sent, and `make_request`, which every list
and detail goes through.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from playwright.async_api import BrowserContext, Error, Playwright
from TikTokApi import TikTokApi

from dc_keras.corpus.collecting.answers import REQUESTS, Member, RefusedError
from dc_keras.corpus.collecting.plan import Target
from dc_keras.errors import DataError

Take = Callable[[str, Any, Any], None]
OpenContext = Callable[[Playwright], Awaitable[BrowserContext]]

_HOME = "https://www.tiktok.com/"
_DEBIAN_CHROMIUM = Path("/usr/bin/chromium")
_TRIES = 4
_ANSWER_TIMEOUT_S = 60.0
_MEDIA_TIMEOUT_MS = 120_000


def chromium(executable: Path | None) -> OpenContext:
    """Returns what starts a headless Chromium with a fresh profile.

    Args:
        executable: the browser. Default: playwright's own if it is installed, else
            Debian's.
    """

    async def open_context(playwright: Playwright) -> BrowserContext:
        path = executable
        if path is None and not Path(playwright.chromium.executable_path).exists():
            path = _DEBIAN_CHROMIUM
        # The headless mode that is the whole browser, as TikTokApi starts it.
        browser = await playwright.chromium.launch(
            executable_path=path, headless=False, args=["--headless=new"]
        )
        return await browser.new_context()

    return open_context


class Session(TikTokApi):
    """TikTokApi with a browser that opens at the first request.

    Args:
        open_context: starts the browser, as `chromium(…)` does.
        interval_s: least seconds between two requests; up to half as much again is
            added at random.
        ms_token: the platform's cookie `msToken`, or None to take what it gives.
    """

    # Posts stay as they came: not every post has all that the library's Video asks for.
    video = staticmethod(lambda data: data)

    def __init__(
        self, *, open_context: OpenContext, interval_s: float, ms_token: str | None
    ) -> None:
        # The library logs whole answers, and addresses with the token in them. What it
        # has to say is told by the reasons of `RefusedError`.
        super().__init__(logging_level=logging.CRITICAL + 1, logger_name=__name__)
        self._open_context = open_context
        self._interval_s = interval_s
        self._ms_token = ms_token
        self._secrets = set() if ms_token is None else {ms_token}
        self._next_turn = 0.0
        self._asked: tuple[str, Any] = ("", None)
        self._take: Take = lambda request, cursor, data: None

    def posts(
        self, target: Target, *, cursor: Any, detail: Any, take: Take
    ) -> AsyncIterator[Any]:
        """Returns an iterator over a target's posts, which asks page after page.

        Args:
            target: a hashtag, a user or a sound.
            cursor: where to begin.
            detail: the answer that told the target's ids before, or None.
            take: gets each answer as it comes (request, cursor, data): saves it, and
                raises `RefusedError` if it is of no use.

        Raises:
            RefusedError: (on the way) the platform gave nothing to go on with.
        """
        self._take = take
        if target.request == "sound":
            source = self.sound(id=target.name)
        elif target.request == "hashtag":
            source = self.hashtag(name=target.name, data=detail)
        else:
            source = self.user(
                username=target.name, sec_uid=target.sec_uid, data=detail
            )
        posts: AsyncIterator[Any] = source.videos(count=sys.maxsize, cursor=cursor)
        return posts

    async def ask_user(self, handle: str, *, take: Take) -> None:
        """Asks for a user's ids."""
        self._take = take
        await self.user(username=handle).info()

    async def ask_suggested(self, member: Member, *, take: Take) -> None:
        """Asks which users, hashtags and sounds are suggested beside a user.

        TikTokApi dropped the method with version 4.1; the address is the one it used.
        """
        self._take = take
        params = {
            "noUser": 0,
            "pageId": member.user_id,
            "userId": member.user_id,
            "userCount": 30,
            "scene": 15,
        }
        await self.make_request(f"{_HOME}node/share/discover", params=params)

    async def fetch_media(self, address: str) -> bytes:
        """Returns what lies at an address of the platform's media servers.

        Raises:
            RefusedError: nothing, or it is not to be had.
        """
        try:
            await self._open()
            await self._wait_turn()
            response = await self.sessions[0].context.request.get(
                address, headers={"referer": _HOME}, timeout=_MEDIA_TIMEOUT_MS
            )
            body: bytes = await response.body()
        except Error as error:
            raise RefusedError(self._first_line(error)) from None
        if response.status not in (200, 206):
            raise RefusedError(f"HTTP {response.status}")
        return body

    async def make_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Asks until the answer holds what it should, a few times at most.

        Raises:
            RefusedError: it never did.
        """
        params = {} if params is None else params
        self._asked = (REQUESTS[urlsplit(url).path], params.get("cursor"))
        for attempt in range(1, _TRIES):
            try:
                return await self._ask(url, headers, params)
            except RefusedError as refused:
                if refused.is_final:
                    raise
            await asyncio.sleep(self._interval_s * 2**attempt)
        return await self._ask(url, headers, params)

    async def _ask(
        self, url: str, headers: dict[str, str] | None, params: dict[str, Any]
    ) -> Any:
        try:
            await self._open()
            return await super().make_request(url, headers, params, retries=1)
        except Error as error:
            # The error it comes from may show the address, and with it the token.
            raise RefusedError(self._first_line(error)) from None

    async def run_fetch_script(
        self, url: str, headers: dict[str, str], **kwargs: Any
    ) -> str:
        """Fetches in the page; hands the answer on before the library reads it."""
        await self._wait_turn()
        fetching = super().run_fetch_script(url, headers, **kwargs)
        try:
            text = await asyncio.wait_for(fetching, _ANSWER_TIMEOUT_S)
        except TimeoutError:
            # A fetch in a page has no end of its own.
            reason = f"no answer within {_ANSWER_TIMEOUT_S:g} seconds"
            raise RefusedError(reason) from None
        text = self._redact(text)
        try:
            data = json.loads(text)
        except ValueError:
            data = text
        self._take(*self._asked, data)
        return text

    async def generate_x_bogus(self, url: str, **kwargs: Any) -> Any:
        """Lets the page sign an address.

        Raises:
            RefusedError: it does not; the library would fail on that without a word.
        """
        signed = await super().generate_x_bogus(url, **kwargs)
        if not isinstance(signed, dict) or "X-Bogus" not in signed:
            raise RefusedError("the page does not sign: probably a captcha page")
        return signed

    async def _open(self) -> None:
        """Opens the browser if it is not; the library drops a session that failed."""
        if self.sessions:
            return
        await self.close_sessions()
        try:
            await self.create_sessions(
                num_sessions=1,
                ms_tokens=[self._ms_token],
                browser_context_factory=self._open_context,
            )
        except Error as error:
            raise DataError(
                f"the browser must start and reach {_HOME}. "
                f"Received: {self._first_line(error)}"
            ) from None
        session = self.sessions[0]
        if session.ms_token is not None:
            self._secrets.add(session.ms_token)
        # Taken from the page's first request after loading, if there was one.
        session.headers = {} if session.headers is None else session.headers

    async def _wait_turn(self) -> None:
        await asyncio.sleep(self._next_turn - time.monotonic())
        pause = self._interval_s * random.uniform(1.0, 1.5)
        self._next_turn = time.monotonic() + pause

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            # Padding may be written in several ways.
            core = secret.rstrip("=")
            for form in (core, quote(core)):
                text = text.replace(form, "REDACTED")
        return text

    def _first_line(self, error: Exception) -> str:
        return self._redact(str(error).partition("\n")[0])
