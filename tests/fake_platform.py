"""A fake platform for the tests of the collector; no request leaves the machine.

TikTokApi runs in a real Chromium. What its pages ask for is answered here by
playwright's routes; what the request API asks for (media) goes to a proxy that is this
module's as well. An address that is neither is refused, and kept in `strays`.
"""

import json
import os
import runpy
import shutil
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

EXECUTABLE = shutil.which("chromium")
TOKEN = "a-secret-Token_of-the-test_0123456789=="
CAPTCHA = "<html><body><div id='captcha-verify-container'></div></body></html>"
MP4 = b"\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom"
# The signing script that the library calls, and a request after loading, whose headers
# it uses for its own requests.
HOME = """<html><script>
window.byted_acrawler = {frontierSign: () => ({"X-Bogus": "signed"})};
window.addEventListener("load", () => setTimeout(() => fetch("/after-load"), 50));
</script></html>"""
_HOST = "www.tiktok.com"
_MEDIA_HOST = "media.tiktok.test"
_PAGE_SIZE = 3


def post_id(number):
    return str(6_870_000_000_000_000_000 + number)


def make_post(number, **fields):
    address = f"http://{_MEDIA_HOST}/{post_id(number)}.mp4"
    return {
        "id": post_id(number),
        "desc": f"post {number} #dance",
        "createTime": 1_600_000_000 + number,
        "author": {"id": "77", "uniqueId": "ann", "secUid": "sec-ann"},
        "video": {"playAddr": address},
    } | fields


def make_pages(num_posts, first=0):
    """Returns the pages of a list with three posts each; the last one is marked."""
    numbers = range(first, first + num_posts)
    starts = range(0, num_posts, _PAGE_SIZE)
    return [
        {
            "itemList": [make_post(n) for n in numbers[start : start + _PAGE_SIZE]],
            "hasMore": start + _PAGE_SIZE < num_posts,
            "cursor": str(index + 1),
            "statusCode": 0,
        }
        for index, start in enumerate(starts)
    ]


class FakePlatform:
    """The answers of the platform, and the requests it received.

    Attributes:
        lists: pages by name of the hashtag, the user or the sound; a page may be a text,
            or None for no answer ever.
        suggested: handles by the handle beside which they are suggested, or an answer.
        media: what the media servers say instead of a video: status, body by file name.
        home: the page that the browser opens.
        requests: the received requests, in order: request, name, cursor.
        strays: addresses that are none of the platform's.
    """

    def __init__(self):
        self.lists = {}
        self.suggested = {}
        self.media = {}
        self.home = HOME
        self.requests = []
        self.strays = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._proxy())
        serve = partial(self._server.serve_forever, poll_interval=0.05)
        threading.Thread(target=serve, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    async def open_context(self, playwright):
        """Starts a browser whose only network is this platform."""
        browser = await playwright.chromium.launch(
            executable_path=EXECUTABLE, headless=False, args=["--headless=new"]
        )
        host, port = self._server.server_address
        context = await browser.new_context(proxy={"server": f"http://{host}:{port}"})
        await context.route("**/*", self._answer)
        return context

    async def _answer(self, route):
        url = urlsplit(route.request.url)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.netloc != _HOST:
            self.strays.append(route.request.url)
            await route.abort()
        elif url.path.startswith(("/api/", "/node/")):
            assert query["X-Bogus"] == "signed"
            try:
                answer = self._say(url.path, query)
            except LookupError:
                # Unexpected requests must not leave the page waiting.
                await route.abort()
                raise
            if answer is None:
                return
            body = answer if isinstance(answer, str) else json.dumps(answer)
            await route.fulfill(status=200, body=body, content_type="application/json")
        else:
            await route.fulfill(status=200, body=self.home, content_type="text/html")

    def _say(self, path, query):
        if path == "/node/share/discover":
            self.requests.append(("suggested", query["userId"], None))
            answer = self.suggested[query["userId"].removeprefix("id-")]
            return _suggestion(answer) if isinstance(answer, list) else answer
        if path == "/api/challenge/detail/":
            name = query["challengeName"]
            self.requests.append(("hashtag_detail", name, None))
            return {"challengeInfo": {"challenge": {"id": f"id-{name}", "title": name}}}
        if path == "/api/user/detail/":
            name = query["uniqueId"]
            self.requests.append(("user_detail", name, None))
            return _user_detail(name)
        kind, key = {
            "/api/challenge/item_list/": ("hashtag", "challengeID"),
            "/api/post/item_list/": ("user", "secUid"),
            "/api/music/item_list/": ("sound", "musicID"),
        }[path]
        name = query[key].removeprefix("id-").removeprefix("sec-")
        self.requests.append((kind, name, query["cursor"]))
        return self.lists[name][int(query["cursor"])]

    def _proxy(self):
        platform = self

        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self):
                # Chromium connects before a navigation that is then answered here.
                if self.path not in (f"{_MEDIA_HOST}:80", f"{_HOST}:443"):
                    platform.strays.append(self.path)
                self._say(200 if self.path.startswith(_MEDIA_HOST) else 502, b"")

            def do_GET(self):
                name = urlsplit(self.path).path.strip("/")
                if self.headers["Host"] == _MEDIA_HOST:
                    platform.requests.append(("media", name, None))
                    self._say(*platform.media.get(name, (200, MP4)))
                else:
                    platform.strays.append(self.path)
                    self._say(502, b"")

            def _say(self, status, body):
                self.send_response(status)
                if self.command == "GET":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = status == 502

            def log_message(self, *args):
                pass

        return Proxy


def _user_detail(name):
    user = {"id": f"id-{name}", "secUid": f"sec-{name}", "uniqueId": name}
    return {"userInfo": {"user": user}, "statusCode": 0}


def _suggestion(handles):
    """Returns cards in the format of 2020: users, hashtags, sounds."""
    users = [
        {
            "subTitle": f"@{handle}",
            "extraInfo": {"userId": f"id-{handle}", "secUid": f"sec-{handle}"},
            "type": 2,
        }
        for handle in handles
    ]
    hashtag = {"subTitle": "", "extraInfo": {"challengeId": "1", "challengeName": "x"}}
    sound = {"subTitle": "", "extraInfo": {"musicId": "2", "posts": 3}}
    blocks = (users, [hashtag], [sound])
    return {
        "statusCode": 0,
        "body": [{"exploreList": [{"cardItem": c} for c in block]} for block in blocks],
    }


def run_collect():
    """Runs the script `collect` on a platform whose sound 7 is behind a captcha."""
    from dc_keras.corpus.collecting import session

    platform = FakePlatform()
    platform.lists = {
        "../../x": make_pages(5),
        "ann": make_pages(2, 10),
        "7": [CAPTCHA],
    }
    platform.suggested = {"seed": ["ann"], "ann": ["seed"], "blocked": ""}
    platform.media = {f"{post_id(11)}.mp4": (403, b"")}
    session.chromium = lambda executable: platform.open_context
    try:
        runpy.run_module("pipelines.collect", run_name="__main__", alter_sys=True)
    finally:
        if platform.strays:
            sys.stderr.write(f"strays: {platform.strays}\n")
            sys.stderr.flush()
            os._exit(99)
