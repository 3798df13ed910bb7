import asyncio
import stat

import pytest
from fake_platform import HOME, TOKEN, make_pages

from dc_keras.collecting.answers import RefusedError
from dc_keras.collecting.plan import Target
from dc_keras.errors import DataError


def _first_page(open_context):
    from dc_keras.collecting.session import Session

    taken = []

    async def ask():
        session = Session(open_context=open_context, interval_s=0.0, ms_token=TOKEN)
        async with session:
            posts = session.posts(
                Target("sound", "42"),
                cursor=0,
                detail=None,
                take=lambda *answer: taken.append(answer),
            )
            return [post async for post in posts]

    return asyncio.run(ask()), taken


def test_posts_and_answers_come_as_the_platform_sent_them(platform):
    # Nothing but an id: more than one place in the library's own Video would fail.
    page = {"itemList": [{"id": 5}], "hasMore": False, "odd": 0.1}
    platform.lists = {"42": [page]}
    posts, taken = _first_page(platform.open_context)
    assert posts == [{"id": 5}]
    assert taken == [("sound", 0, page)]


def test_page_that_does_not_sign_is_told(platform):
    platform.home = HOME.replace('({"X-Bogus": "signed"})', "undefined")
    with pytest.raises(RefusedError, match="the page does not sign"):
        _first_page(platform.open_context)
    assert platform.asked == []


def test_browser_that_dies_is_opened_again(platform):
    platform.lists = {"42": make_pages(3)}
    opened = []

    async def open_and_kill(playwright):
        context = await platform.open_context(playwright)
        opened.append(context)
        if len(opened) == 1:
            # The first time that the page signs, its browser goes away.
            async def die(route):
                await context.browser.close()

            await context.route("**/api/**", die)
        return context

    posts, taken = _first_page(open_and_kill)
    assert (len(posts), len(taken), len(opened)) == (3, 1, 2)


def test_chromium_that_does_not_start_is_one_line(platform, tmp_path):
    from dc_keras.collecting.session import chromium

    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(stat.S_IRWXU)
    with pytest.raises(DataError, match="the browser must start and reach") as caught:
        _first_page(chromium(browser))
    assert "\n" not in str(caught.value)
