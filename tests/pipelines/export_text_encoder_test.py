def test_the_export_prints_how_it_is_used(bert):
    assert bert.stdout == f"Wrote {bert.output}. Use it with --text=hub:{bert.output}\n"
    assert (bert.output / "saved_model.pb").exists()


def test_a_handle_without_a_scheme_is_explained(fails_in_one_line, tmp_path):
    line = fails_in_one_line(
        "export_text_encoder", "--text=bert", f"--output={tmp_path}/bert"
    )
    assert "text='bert'" in line
    assert "keras_nlp:" in line
    assert not (tmp_path / "bert").exists()
