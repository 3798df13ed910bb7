import pytest

from dc_keras.corpus.sources.sniffing import choose_sources, sniff
from dc_keras.errors import DataError


def test_each_shape_is_told_from_the_others(make_item):
    sources = choose_sources("auto")
    names = [
        None if source is None else source.name
        for source in (
            sniff(make_item(), sources),
            sniff({"itemInfos": {}, "authorInfos": {}}, sources),
            sniff({"hello": 1}, sources),
        )
    ]
    assert names == ["web_item", "share_item", None]


def test_a_named_source_is_the_only_one_asked(make_item):
    assert sniff(make_item(), choose_sources("share_item")) is None


def test_an_unknown_source_is_told():
    with pytest.raises(DataError, match=r"one of auto, share_item, web_item. .*'x'"):
        choose_sources("x")
