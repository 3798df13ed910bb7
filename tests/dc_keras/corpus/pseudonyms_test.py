import copy
import hashlib
import hmac
import re
import stat

import pytest

from dc_keras.corpus.pseudonyms import Pseudonymizer, load_or_create_key, post_code
from dc_keras.errors import DataError


def test_a_pseudonym_is_the_keyed_hash_in_its_own_domain(pseudonymizer):
    expected = hmac.new(b"k" * 32, b"dc_keras/user\x00123", hashlib.sha256).hexdigest()
    assert pseudonymizer.user("123") == expected[:32]


def test_pseudonyms_differ_between_domains_and_keys(pseudonymizer):
    other = Pseudonymizer(b"j" * 32)
    codes = [
        pseudonymizer.user("123"),
        pseudonymizer.handle("123"),
        pseudonymizer.sec_uid("123"),
        other.user("123"),
    ]
    assert len(set(codes)) == 4
    assert other.fingerprint != pseudonymizer.fingerprint


def test_a_mention_code_begins_the_pseudonym_of_the_handle(pseudonymizer):
    assert pseudonymizer.mention("Ann") == "u_" + pseudonymizer.handle("ann")[:10]


def test_forgotten_fingerprints_have_their_own_domain(pseudonymizer):
    message = b"dc_keras/forgotten\x00@ann"
    expected = hmac.new(b"k" * 32, message, hashlib.sha256).hexdigest()
    assert pseudonymizer.forgotten("@ann") == expected[:32]


def test_the_key_is_not_shown(pseudonymizer):
    assert "kkk" not in repr(pseudonymizer)


def test_another_process_gets_the_same_pseudonyms(pseudonymizer):
    received = copy.deepcopy(pseudonymizer)  # as processes copy it
    assert received == pseudonymizer
    assert received.user("1") == pseudonymizer.user("1")


def test_a_short_key_is_refused():
    with pytest.raises(DataError, match=r"must have 32 bytes. Received: num_bytes=3"):
        Pseudonymizer(b"abc")


def test_a_directory_is_no_key_file(tmp_path):
    with pytest.raises(DataError, match="the key file must be a file"):
        load_or_create_key(tmp_path, corpus_dir=tmp_path / "corpus")


def test_a_key_file_is_created_once_and_private(tmp_path):
    path = tmp_path / "new" / "pseudonym.key"
    key = load_or_create_key(path, corpus_dir=tmp_path / "corpus")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) == 32
    assert load_or_create_key(path, corpus_dir=tmp_path / "corpus") == key


def test_a_key_inside_the_corpus_is_refused(tmp_path):
    with pytest.raises(DataError, match="must lie outside the corpus directory"):
        load_or_create_key(tmp_path / "c" / "sub" / "key", corpus_dir=tmp_path / "c")


def test_a_key_linked_into_the_corpus_is_refused(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "c" / "key")
    with pytest.raises(DataError, match="must lie outside the corpus directory"):
        load_or_create_key(tmp_path / "link", corpus_dir=tmp_path / "c")


def test_a_readable_key_is_refused(tmp_path):
    path = tmp_path / "key"
    load_or_create_key(path, corpus_dir=tmp_path / "c")
    path.chmod(0o644)
    with pytest.raises(DataError, match=r"owner only; run `chmod 600 .*mode=0644"):
        load_or_create_key(path, corpus_dir=tmp_path / "c")


@pytest.mark.parametrize("content", ["", "not hex", "abcd", "é" * 64])
def test_an_invalid_key_file_is_refused(tmp_path, content):
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(DataError, match="must hold 64 hex digits and nothing else"):
        load_or_create_key(path, corpus_dir=tmp_path / "c")


def test_post_codes_depend_on_the_corpus_and_the_post():
    first, second = (Pseudonymizer(bytes([n]) * 32).fingerprint for n in (1, 2))
    code = post_code(first, "6871947673600000001")
    assert re.fullmatch("[0-9a-f]{32}", code)
    assert code == post_code(first, "6871947673600000001")
    assert code != post_code(first, "6871947673600000002")
    assert code != post_code(second, "6871947673600000001")
