"""Validation of the platform's answers.

Answers that pass `check_answer` can be read without further checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The requests of TikTokApi 7.3 by URL path; the last one is sent by `session`.
REQUESTS = {
    "/api/challenge/detail/": "hashtag_detail",
    "/api/user/detail/": "user_detail",
    "/api/challenge/item_list/": "hashtag",
    "/api/post/item_list/": "user",
    "/api/music/item_list/": "sound",
    "/node/share/discover": "suggested",
}
_PAGE = ("itemList", "hasMore")  # `cursor` is required only if there is more
_NEEDS = {
    "hashtag_detail": ("challengeInfo.challenge.id", "challengeInfo.challenge.title"),
    "user_detail": (
        "userInfo.user.id",
        "userInfo.user.secUid",
        "userInfo.user.uniqueId",
    ),
    "hashtag": _PAGE,
    "user": _PAGE,
    "sound": _PAGE,
    "suggested": ("body",),
}


class RefusedError(Exception):
    """No usable answer; `is_final` says that an immediate retry is useless."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a suggestion; `sec_uid`, which requests for posts need, may be ""."""

    user_id: str
    handle: str
    sec_uid: str = ""


def check_answer(request: str, answer: Any) -> None:
    """Raises `RefusedError` if an answer lacks what was requested.

    Args:
        request: one of the values of REQUESTS.
        answer: parsed JSON, or the text of an answer that is not JSON.
    """
    if not isinstance(answer, dict):
        raise RefusedError(_describe(answer))
    for name in ("statusCode", "status_code"):
        if answer.get(name) not in (None, 0):
            reason = f"the platform refused the request: {name} {answer[name]}"
            raise RefusedError(reason, is_final=True)
    for path in _NEEDS[request]:
        _check_path(answer, path)
    if _NEEDS[request] == _PAGE:
        _check_page(answer)
    elif request == "suggested":
        _check_suggestion(answer)


def _describe(answer: Any) -> str:
    if not isinstance(answer, str):
        return f"a {type(answer).__name__} instead of an object"
    if not answer.strip():
        return "an empty answer: probably blocked"
    if "captcha" in answer.lower():
        return "a captcha page instead of JSON"
    return "a page instead of JSON: probably blocked"


def _check_path(answer: dict[str, Any], path: str) -> None:
    value: Any = answer
    for name in path.split("."):
        if not isinstance(value, dict) or value.get(name) is None:
            keys = ", ".join(sorted(value)) if isinstance(value, dict) else "none"
            reason = f"no `{name}` in the answer; its keys: {keys}"
            raise RefusedError(reason, is_final=True)
        value = value[name]


def _check_page(answer: dict[str, Any]) -> None:
    if not isinstance(answer["itemList"], list):
        raise RefusedError("`itemList` is not a list", is_final=True)
    if answer["itemList"] and not posts_of(answer):
        _check_path(answer["itemList"][0], "id")
    if answer["hasMore"]:
        _check_path(answer, "cursor")
        if not answer["itemList"]:
            raise RefusedError("no posts, although `hasMore` is true: probably blocked")


def _check_suggestion(answer: dict[str, Any]) -> None:
    try:
        members_of(answer)
    except (AttributeError, KeyError, TypeError) as error:
        reason = f"suggestions of an unexpected structure: {error!r}"
        raise RefusedError(reason, is_final=True) from error


def posts_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the posts of a page that have an id."""
    return [
        post for post in page["itemList"] if isinstance(post, dict) and "id" in post
    ]


def members_of(answer: dict[str, Any]) -> list[Member]:
    """Returns the users in a suggestion, in order; other cards have no userId."""
    cards = [
        entry["cardItem"] for block in answer["body"] for entry in block["exploreList"]
    ]
    return [
        Member(
            user_id=str(card["extraInfo"]["userId"]),
            handle=card["subTitle"].removeprefix("@"),
            sec_uid=card["extraInfo"].get("secUid", ""),
        )
        for card in cards
        if "userId" in card["extraInfo"]
    ]
