import hashlib


def test_the_demo_ends_with_the_step_that_failed(run_script, tmp_path):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "thesis.docx").touch()
    done = run_script("demo", f"--workdir={tmp_path}", "--users=40")
    assert done.returncode == 1
    assert "thesis.docx" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    log = tmp_path / "logs" / "world.txt"
    assert done.stderr.splitlines()[-1] == (
        f"simulate ended with 1; its output is in {log}"
    )
    assert not (tmp_path / "corpus").exists()
    # Pseudonyms, and with them folds and figures, are those of every demo with the seed.
    key = (tmp_path / "pseudonym.key").read_text("ascii")
    assert key == hashlib.sha256(b"demo 0").hexdigest() + "\n"


def test_the_demo_of_another_world_is_left_alone(fails_in_one_line, tmp_path):
    (tmp_path / "demo.txt").write_text("--users=40 --challenges=3 --seed=1", "utf-8")
    flags = (f"--workdir={tmp_path}", "--users=40", "--challenges=3")
    assert fails_in_one_line("demo", *flags) == (
        f"{tmp_path} holds the demo of --users=40 --challenges=3 --seed=1; choose "
        "another --workdir, or the same world. "
        "Received: --users=40 --challenges=3 --seed=0"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["demo.txt"]
