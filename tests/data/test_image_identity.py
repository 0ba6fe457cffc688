from tgdi_hf.data.image_identity import digest_of


def test_copies_of_a_file_are_the_same_image(tmp_path):
    for name, content in (("a.png", b"one"), ("copy.png", b"one"), ("b.png", b"two")):
        (tmp_path / name).write_bytes(content)
    # SHA-256 of b"one", cut to 32 digits.
    assert digest_of(tmp_path / "a.png") == digest_of(str(tmp_path / "copy.png")) == digest_of(b"one")
    assert digest_of(b"one") == "7692c3ad3540bb803c020b3aee66cd88"
    assert digest_of(tmp_path / "b.png") != digest_of(b"one")
