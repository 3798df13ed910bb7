from dc_keras.corpus.importing.sources.pages import PAYLOAD_IDS, find_payloads


def test_scripts_with_the_state_are_found():
    for name in PAYLOAD_IDS:
        page = f'<p>x</p><script>1 < 2</script><script id="{name}">{{"a":1}}</script>'
        assert find_payloads(page) == [(name, '{"a":1}')]


def test_an_assignment_ends_where_its_value_ends():
    page = '<script>window["SIGI_STATE"] = {"a": "};"}; window.x = 1</script>'
    assert find_payloads(page) == [("SIGI_STATE", '{"a": "};"}')]


def test_a_page_without_state_has_none():
    assert find_payloads("<html><script>var a</script>") == []
