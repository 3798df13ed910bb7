"""A rate-limited session of TikTokApi that saves each answer before it is parsed.

TikTokApi 7.3 signs the requests, sends them from a page of a real browser and follows
the cursors. This module overrides two methods: `run_fetch_script`, which returns the
text of an answer, and `make_request`, through which all lists and details are
requested.
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

AddAnswer = Callable[[str, Any, Any], None]
OpenContext = Callable[[Playwright], Awaitable[BrowserContext]]

_HOME = "https://www.tiktok.com/"
_DEBIAN_CHROMIUM = Path("/usr/bin/chromium")
_TRIES = 4
_ANSWER_TIMEOUT_S = 60.0
_MEDIA_TIMEOUT_MS = 120_000


def chromium(executable: Path | None) -> OpenContext:
    """Returns a function that starts a headless Chromium with a new profile.

    By default, the browser is that of playwright if it is installed, else Debian's.
    """

    async def open_context(playwright: Playwright) -> BrowserContext:
        path = executable
        if path is None and not Path(playwright.chromium.executable_path).exists():
            path = _DEBIAN_CHROMIUM
        # The new headless mode runs the full browser, as TikTokApi does.
        browser = await playwright.chromium.launch(
            executable_path=path, headless=False, args=["--headless=new"]
        )
        return await browser.new_context()

    return open_context


class Session(TikTokApi):
    """TikTokApi with a browser that is opened on the first request.

    Args:
        open_context: starts the browser, e.g. `chromium(…)`.
        interval_s: minimum seconds between two requests; up to half of it is added at
            random.
        ms_token: the platform's cookie `msToken`, or None to use the one it sets.
    """

    # Returns posts unchanged: some lack fields that the Video of the library requires.
    video = staticmethod(lambda data: data)

    def __init__(
        self, *, open_context: OpenContext, interval_s: float, ms_token: str | None
    ) -> None:
        # The library logs whole answers, and URLs with the token. The relevant errors
        # are reported by `RefusedError`.
        super().__init__(logging_level=logging.CRITICAL + 1, logger_name=__name__)
        self._open_context = open_context
        self._interval_s = interval_s
        self._ms_token = ms_token
        self._secrets = set() if ms_token is None else {ms_token}
        self._next_turn = 0.0
        self._request: tuple[str, Any] = ("", None)
        self._add_answer: AddAnswer = lambda request, cursor, data: None

    def posts(
        self, target: Target, *, cursor: Any, detail: Any, add_answer: AddAnswer
    ) -> AsyncIterator[Any]:
        """Returns an iterator over the posts of a target, which requests their pages.

        Args:
            target: a hashtag, a user or a sound.
            cursor: cursor of the first page.
            detail: an earlier answer that contains the target's ids, or None.
            add_answer: called with each answer (request, cursor, data); saves it, and
                raises `RefusedError` if it is unusable.
        """
        self._add_answer = add_answer
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

    async def request_user(self, handle: str, *, add_answer: AddAnswer) -> None:
        """Requests the ids of a user."""
        self._add_answer = add_answer
        await self.user(username=handle).info()

    async def request_suggestions(
        self, member: Member, *, add_answer: AddAnswer
    ) -> None:
        """Requests the users, hashtags and sounds that are suggested next to a user.

        TikTokApi removed the method in version 4.1; this is the URL that it used.
        """
        self._add_answer = add_answer
        params = {
            "noUser": 0,
            "pageId": member.user_id,
            "userId": member.user_id,
            "userCount": 30,
            "scene": 15,
        }
        await self.make_request(f"{_HOME}node/share/discover", params=params)

    async def fetch_media(self, address: str) -> bytes:
        """Returns the content of a URL of the platform's media servers."""
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
        """Sends a request until the answer is usable, a few times at most."""
        params = {} if params is None else params
        self._request = (REQUESTS[urlsplit(url).path], params.get("cursor"))
        for attempt in range(1, _TRIES):
            try:
                return await self._request_once(url, headers, params)
            except RefusedError as refused:
                if refused.is_final:
                    raise
            await asyncio.sleep(self._interval_s * 2**attempt)
        return await self._request_once(url, headers, params)

    async def _request_once(
        self, url: str, headers: dict[str, str] | None, params: dict[str, Any]
    ) -> Any:
        try:
            await self._open()
            return await super().make_request(url, headers, params, retries=1)
        except Error as error:
            # The original error may contain the URL, and thus the token.
            raise RefusedError(self._first_line(error)) from None

    async def run_fetch_script(
        self, url: str, headers: dict[str, str], **kwargs: Any
    ) -> str:
        """Fetches in the page and passes the answer on before the library parses it."""
        await self._wait_turn()
        fetching = super().run_fetch_script(url, headers, **kwargs)
        try:
            text = await asyncio.wait_for(fetching, _ANSWER_TIMEOUT_S)
        except TimeoutError:
            # A fetch in a page has no timeout of its own.
            reason = f"no answer within {_ANSWER_TIMEOUT_S:g} seconds"
            raise RefusedError(reason) from None
        text = self._redact(text)
        try:
            data = json.loads(text)
        except ValueError:
            data = text
        self._add_answer(*self._request, data)
        return text

    async def generate_x_bogus(self, url: str, **kwargs: Any) -> Any:
        """Signs a URL in the page; the library does not check the signature."""
        signed = await super().generate_x_bogus(url, **kwargs)
        if not isinstance(signed, dict) or "X-Bogus" not in signed:
            raise RefusedError("no signature from the page: probably a captcha page")
        return signed

    async def _open(self) -> None:
        """Opens the browser if it is closed; the library drops a failed session."""
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
        # From the page's first request after loading, if there was one.
        session.headers = {} if session.headers is None else session.headers

    async def _wait_turn(self) -> None:
        await asyncio.sleep(self._next_turn - time.monotonic())
        pause = self._interval_s * random.uniform(1.0, 1.5)
        self._next_turn = time.monotonic() + pause

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            # The padding has several spellings.
            core = secret.rstrip("=")
            for form in (core, quote(core)):
                text = text.replace(form, "REDACTED")
        return text

    def _first_line(self, error: Exception) -> str:
        return self._redact(str(error).partition("\n")[0])
