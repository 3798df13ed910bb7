import json


def test_a_video_and_a_brief_make_a_challenge(run_script, bundle, world):
    clip = min((world.output / "media").rglob("*.mp4"))
    done = run_script(
        "add_challenge",
        f"--bundle={bundle.output}",
        "--challenge=umbrelladance",
        "--brief=open an umbrella #umbrelladance",
        f"--video={clip}",
        "--version=7",
    )
    assert done.returncode == 0, done.stderr
    place = bundle.output / "7"
    try:
        assert done.stdout == f"{place}: added umbrelladance, from 1 posts\n"
        config = json.loads((place / "config.json").read_text("utf-8"))
        assert config["challenges"][-1] == "umbrelladance"
        assert config["added"]["umbrelladance"]["num_frames"] == 2
    finally:
        place.rename(bundle.output.parent / "with_umbrella")


def test_a_challenge_needs_a_description(fails_in_one_line, bundle):
    line = fails_in_one_line(
        "add_challenge", f"--bundle={bundle.output}", "--challenge=umbrelladance"
    )
    assert "must have a --brief, or a --video" in line
