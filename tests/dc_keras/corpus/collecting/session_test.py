import asyncio
import stat

import pytest
from fake_platform import HOME, TOKEN, make_pages

from dc_keras.corpus.collecting.answers import RefusedError
from dc_keras.corpus.collecting.plan import Target
from dc_keras.errors import DataError


def _request_once(open_context, add_answer=lambda *answer: None, interval_s=0.0):
    """Requests the sound 42; returns its posts."""
    from dc_keras.corpus.collecting.session import Session

    async def ask():
        session = Session(
            open_context=open_context, interval_s=interval_s, ms_token=TOKEN
        )
        async with session:
            target = Target("sound", "42")
            posts = session.posts(target, cursor=0, detail=None, add_answer=add_answer)
            return [post async for post in posts]

    return asyncio.run(ask())


def test_requests_are_spaced_and_retries_back_off(platform, monkeypatch):
    slept = []

    async def sleep(delay, *result, sleep=asyncio.sleep):
        slept.append(delay)
        await sleep(0)

    def refuse(request, cursor, data):
        raise RefusedError("no")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    platform.lists = {"42": [""]}
    with pytest.raises(RefusedError):
        _request_once(platform.open_context, refuse, interval_s=9.0)
    assert len(platform.requests) == 4
    # Four requests, the first at once, the others 9 to 13.5 seconds after the previous
    # one minus the computing time; between them 9 · 2, 9 · 4 and 9 · 8 seconds.
    assert [delay for delay in slept if delay > 13.5] == [18.0, 36.0, 72.0]
    assert sum(1 < delay <= 13.5 for delay in slept) == 3


def test_missing_signature_is_reported(platform):
    platform.home = HOME.replace('({"X-Bogus": "signed"})', "undefined")
    with pytest.raises(RefusedError, match="no signature from the page"):
        _request_once(platform.open_context)
    assert platform.requests == []


def test_missing_answer_times_out(platform, monkeypatch):
    monkeypatch.setattr("dc_keras.corpus.collecting.session._ANSWER_TIMEOUT_S", 0.2)
    platform.lists = {"42": [None]}
    with pytest.raises(RefusedError, match=r"no answer within 0\.2 seconds"):
        _request_once(platform.open_context)
    assert len(platform.requests) == 4


def test_crashed_browser_is_reopened(platform):
    platform.lists = {"42": make_pages(3)}
    opened = []

    async def open_and_kill(playwright):
        context = await platform.open_context(playwright)
        opened.append(context)
        if len(opened) == 1:
            # The browser exits when the page signs for the first time.
            async def die(route):
                await context.browser.close()

            await context.route("**/api/**", die)
        return context

    assert (len(_request_once(open_and_kill)), len(opened)) == (3, 2)


def test_failing_chromium_start_is_one_line(platform, tmp_path):
    from dc_keras.corpus.collecting.session import chromium

    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(stat.S_IRWXU)
    with pytest.raises(DataError, match="the browser must start and reach") as caught:
        _request_once(chromium(browser))
    assert "\n" not in str(caught.value)
