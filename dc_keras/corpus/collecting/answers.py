"""What the platform's answers must hold, and why one is of no use.

What passes `check_answer` can be read without another look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Where TikTokApi 7.3 asks what; the last is asked for by dc_keras.corpus.collecting.session.
REQUESTS = {
    "/api/challenge/detail/": "hashtag_detail",
    "/api/user/detail/": "user_detail",
    "/api/challenge/item_list/": "hashtag",
    "/api/post/item_list/": "user",
    "/api/music/item_list/": "sound",
    "/node/share/discover": "suggested",
}
_PAGE = ("itemList", "hasMore")  # the cursor is looked for where there is more
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
    """The platform gave nothing to go on with.

    Args:
        reason: why, in a few words.
        is_final: whether asking again at once is of no use.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Member:
    """A user as a suggestion names them.

    Attributes:
        user_id: the platform's number.
        handle: without its @.
        sec_uid: what the user's posts are asked for with; "" if not known.
    """

    user_id: str
    handle: str
    sec_uid: str = ""


def check_answer(request: str, answer: Any) -> None:
    """Raises if an answer does not hold what was asked for.

    Args:
        request: one of the values of REQUESTS.
        answer: parsed JSON, or the text of an answer that is none.

    Raises:
        RefusedError: it does not, and why.
    """
    if not isinstance(answer, dict):
        raise RefusedError(_describe(answer))
    for name in ("statusCode", "status_code"):
        if answer.get(name) not in (None, 0):
            reason = f"the platform refuses: {name} {answer[name]}"
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
            reason = f"no `{name}` in the answer; keys that are there: {keys}"
            raise RefusedError(reason, is_final=True)
        value = value[name]


def _check_page(answer: dict[str, Any]) -> None:
    if not isinstance(answer["itemList"], list):
        raise RefusedError("`itemList` is no list", is_final=True)
    if answer["itemList"] and not posts_of(answer):
        _check_path(answer["itemList"][0], "id")
    if answer["hasMore"]:
        _check_path(answer, "cursor")
        if not answer["itemList"]:
            raise RefusedError("no posts, although more are promised: probably blocked")


def _check_suggestion(answer: dict[str, Any]) -> None:
    try:
        members_of(answer)
    except (AttributeError, KeyError, TypeError) as error:
        reason = f"suggestions of another shape than expected: {error!r}"
        raise RefusedError(reason, is_final=True) from error


def posts_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the posts of a page that have an id."""
    return [
        post for post in page["itemList"] if isinstance(post, dict) and "id" in post
    ]


def members_of(answer: dict[str, Any]) -> list[Member]:
    """Returns the users among the cards of a suggestion, in its order.

    The cards of hashtags and sounds beside them have no `extraInfo.userId`.
    """
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
