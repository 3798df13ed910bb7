"""The records that an import could not read: one line each in quarantine.jsonl.

A line contains the file, the position, the reason, the top-level keys of the record and
a sha256 of its content. Lines are never repeated. The content is personal data without
pseudonyms, so it is kept only on request; the position identifies it in the export.
Files and keys may be named after people: unless the content is kept, such names are
replaced by the codes of mentions (`Pseudonymizer.mention`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import AtomicUpdate

# The field names of exports. Some exports are tables of people, with handles as keys:
# all other keys are replaced by codes.
FIELD_NAMES = frozenset(
    {"Activity", "Date", "ItemModule", "Link", "SIGI_STATE", "UserModule"}
    | {"VideoList", "__DEFAULT_SCOPE__", "__NEXT_DATA__"}
    | {"__UNIVERSAL_DATA_FOR_REHYDRATION__", "__collect_meta", "__import_meta"}
    | {"account_id", "artist", "artists", "author", "authorId", "authorInfos"}
    | {"authorMeta", "authorName", "authorSecId", "authorStats", "authorStatsV2"}
    | {"author_id", "author_name", "author_url", "author_user_id", "aweme_detail"}
    | {"aweme_id", "aweme_info", "aweme_list", "body", "caption", "cha_list"}
    | {"challengeInfoList", "challenges", "channel", "cid", "code", "collectCount"}
    | {"collect_count", "collected_at", "collected_from_url", "comment"}
    | {"commentCount", "comment_count", "comments", "content_scraper", "contents"}
    | {"cover", "createTime", "createTimeISO", "create_date", "create_time"}
    | {"creator", "cursor", "data", "date", "desc", "desc_language", "description"}
    | {"diggCount", "digg_count", "document", "duetInfo", "duet_info", "duration"}
    | {"duration_s", "effectStickers", "effect_ids", "effect_stickers", "effects"}
    | {"end", "entries", "error", "errors", "exploreList", "extra", "extractor"}
    | {"extractor_key", "fans", "file_metadata", "followerCount", "followers"}
    | {"following", "formats", "further", "hasMore", "has_more", "hashtag"}
    | {"hashtag_names", "hashtags", "header", "heartCount", "height", "hidden", "id"}
    | {"imagePost", "image_post_info", "images", "inner", "is_slideshow", "item"}
    | {"itemId", "itemInfo", "itemInfos", "itemList", "itemListData", "itemStruct"}
    | {"item_id", "item_list", "items", "language", "likeCount", "like_count"}
    | {"likes", "line", "liveRoomInfo", "locationCreated", "log_pb", "mentions"}
    | {"music", "musicInfos", "musicMeta", "music_id", "music_info", "music_title"}
    | {"name", "nickName", "nickname", "original_url", "page", "pageProps", "play"}
    | {"playCount", "play_count", "playlist", "post", "postId", "post_id"}
    | {"post_url", "profile", "props", "region", "region_code", "repost_count"}
    | {"response", "row", "rows", "save_count", "saves", "script", "search_id"}
    | {"secUid", "sec_uid", "seed", "shareCount", "shareUrl", "share_count"}
    | {"share_info", "share_url", "shares", "sheet", "source_platform"}
    | {"source_platform_url", "source_url", "start", "statistics", "stats"}
    | {"statsV2", "status", "statusCode", "status_code", "sticker_list"}
    | {"sugg_hashtags", "sugg_sounds", "sugg_users", "suggested", "target_account"}
    | {"text", "textExtra", "textLanguage", "text_extra", "thumbnail", "time"}
    | {"timestamp", "timestamp_collected", "title", "track", "transcript", "uid"}
    | {"uniqueId", "unique_id", "upload_date", "uploader", "uploader_id"}
    | {"uploader_url", "url", "used_hashtags", "user", "userId", "userInfo"}
    | {"userName", "user_followers", "user_following", "user_id", "user_name"}
    | {"username", "users", "values", "video", "videoId", "videoMeta", "videoUrl"}
    | {"video_description", "video_id", "video_mention_list", "videos", "view_count"}
    | {"views", "voice_to_text", "webVideoUrl", "webapp", "webpage_url", "width"}
)


QUARANTINE_FILE = "quarantine.jsonl"
# The suffixes of export files; any other suffix may be part of a handle.
_SUFFIXES = re.compile(
    r"(?:\.(?:json|jsonl|ndjson|csv|tsv|txt|html?|xlsx?|parquet|zip|tar|tgz|gz|bz2|xz))+\Z",
    re.IGNORECASE,
)
# A part of a position that is not a number: `line 1 ItemModule.687…` has two.
_WORD = re.compile(r"[^\s.\[\]:]*[^\s.\[\]:0-9][^\s.\[\]:]*")
_CODE = re.compile(r"u_[0-9a-f]{10}")
_IDENTITY = ("file", "position", "reason", "sha256")


Entry: TypeAlias = dict[str, Any]


def make_entry(
    content: Any, *, file: str, position: str, reason: str, keep_raw: bool = False
) -> Entry:
    """Returns the entry of a rejected record, in which names are not replaced yet.

    Args:
        content: the raw bytes, or the parsed record.
        file: name of the export file, without directories.
        position: position in the file.
        reason: why the record was rejected; must not contain its content.
        keep_raw: whether to keep the content.
    """
    data = content if isinstance(content, bytes) else _canonical_json(content)
    entry: Entry = {
        "file": file,
        "position": position,
        "reason": reason,
        "sha256": hashlib.sha256(data).hexdigest(),
        "keys": _field_names(content),
    }
    return entry | {"raw": data.decode("utf-8", "replace")} if keep_raw else entry


def append_entries(
    directory: Path,
    files: AtomicUpdate,
    lines: Iterable[str],
    *,
    leave_out: Callable[[Entry], bool] = lambda _: False,
) -> int:
    """Adds new entries to quarantine.jsonl.

    Args:
        directory: the corpus directory with the existing file.
        files: the update to which the new file is written.
        lines: entries of the records rejected by this import, as JSON.
        leave_out: whether to drop an entry, existing or new.

    Returns:
        The number of lines of the new file.

    Raises:
        DataError: the existing file is not a quarantine file.
    """
    path = directory / QUARANTINE_FILE
    seen: set[bytes] = set()
    # If the new file is empty, the update removes the file.
    with files.path(QUARANTINE_FILE).open("w", encoding="utf-8", newline="\n") as file:
        for line in chain(_lines_of(path), lines):
            entry = _parse_entry(path, line)
            identity = json.dumps([entry[name] for name in _IDENTITY])
            key = hashlib.sha256(identity.encode()).digest()
            if key not in seen and not leave_out(entry):
                seen.add(key)
                file.write(f"{json.dumps(entry)}\n")
    return len(seen)


def _lines_of(path: Path) -> Iterator[str]:
    # Split at "\n" only, because JSON escapes all other line breaks.
    if path.exists():
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from (line.removesuffix("\n") for line in file if line.strip())


def _parse_entry(path: Path, line: str) -> Entry:
    try:
        entry = json.loads(line)
        return {**entry, **{name: entry[name] for name in (*_IDENTITY, "keys")}}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: every line must be a quarantine entry; move the file away and "
            f"import again. Received: {error!r}"
        ) from error


def without_names(entry: Entry, code: Callable[[str], str]) -> Entry:
    """Returns an entry with codes in place of all values that may name a person."""
    if "raw" in entry:  # the raw content was requested and contains the names
        return entry

    def coded(word: str) -> str:
        is_plain = word in FIELD_NAMES or _CODE.fullmatch(word) is not None
        return word if is_plain else code(word.lstrip("@＠").lower())

    stem, dot, suffixes = split_suffixes(entry["file"])
    place = _WORD.sub(lambda match: coded(match[0]), entry["position"])
    return {
        **entry,
        "file": coded(stem) + dot + suffixes,
        "position": place,
        "keys": [coded(key) for key in entry["keys"]],
    }


def split_suffixes(name: str) -> tuple[str, str, str]:
    """Splits a name before its suffixes: `a.ndjson.gz` into `a`, `.`, `ndjson.gz`."""
    match = _SUFFIXES.search(name)
    if match is None:
        return name, "", ""
    return name[: match.start()], ".", match[0][1:]


def _field_names(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return []
    # An object that contains only objects is a table, whose keys may be handles.
    is_table = all(isinstance(value, dict) for value in content.values())
    return [] if is_table else sorted(content)


def _canonical_json(content: Any) -> bytes:
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        text = json.dumps(_field_names(content))  # too deeply nested for json.dumps
    return text.encode("ascii")
