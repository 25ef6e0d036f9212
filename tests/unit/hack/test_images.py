"""Archives that containerd reads, and tags that change with the content."""

import hashlib
import json
import tarfile

import pytest
from hack.local import archive, images
from hack.local.archive import ProgramImage


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF, more or less")
    return path


@pytest.fixture
def written(tmp_path, program):
    target = tmp_path / "images" / "all.tar"
    archive.write(
        [ProgramImage("example.org/one:1", "one", program), ProgramImage("example.org/two:2", "two", program)], target
    )
    return target


def read(path):
    with tarfile.open(path) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def test_everything_is_found_by_its_digest(written):
    files = read(written)
    manifests = json.loads(files["index.json"])["manifests"]
    assert [item["annotations"]["io.containerd.image.name"] for item in manifests] == [
        "example.org/one:1",
        "example.org/two:2",
    ]
    for item in manifests:
        manifest = json.loads(files[f"blobs/sha256/{item['digest'].removeprefix('sha256:')}"])
        config = json.loads(files[f"blobs/sha256/{manifest['config']['digest'].removeprefix('sha256:')}"])
        (layer,) = manifest["layers"]
        content = files[f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}"]
        assert hashlib.sha256(content).hexdigest() == layer["digest"].removeprefix("sha256:")
        assert len(content) == layer["size"]
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
        assert config["config"]["User"] == "65532:65532"


def test_the_layer_holds_the_program_and_it_can_run(written, tmp_path, program):
    for name, content in read(written).items():
        (tmp_path / "blob").write_bytes(content)
        if name.startswith("blobs/") and tarfile.is_tarfile(tmp_path / "blob"):
            with tarfile.open(tmp_path / "blob") as layer:
                (entry,) = layer.getmembers()
                assert entry.mode == 0o755
                assert layer.extractfile(entry).read() == program.read_bytes()


def test_the_same_programs_give_the_same_bytes(written, tmp_path, program):
    program.touch()
    again = tmp_path / "again.tar"
    archive.write(
        [ProgramImage("example.org/one:1", "one", program), ProgramImage("example.org/two:2", "two", program)], again
    )
    assert again.read_bytes() == written.read_bytes()


def test_a_tag_is_the_start_of_the_images_id_however_the_builder_writes_it():
    assert images.tag_of("sha256:0123456789abcdef") == images.tag_of("0123456789abcdef") == "dev-0123456789ab"
