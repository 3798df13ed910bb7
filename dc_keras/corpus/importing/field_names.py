"""The field names of exports; any other key of a record may name a person.

Some exports are tables of people, with handles as keys. quarantine.jsonl keeps the keys
listed here and replaces all others by codes.
"""

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
