"""One shard: lossless, the same bytes for the same samples, and nothing else opened as one."""

import io
import json
import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dp.pool.shards import DTYPES, Layout, decode, decode_image, encode, encode_image, image_files, records, verified
from dp.samples import Samples
from dp.utils.errors import UserError

CLASSES = ("t-shirt", "ankle boot", 'Ωmega, "quoted"')
LAYOUT = Layout(CLASSES, (1, 5, 4), 8)


def some(count: int, shape: tuple[int, int, int] = LAYOUT.image_shape, seed: int = 0) -> Samples:
    rng = torch.Generator().manual_seed(seed)
    entropy = torch.rand(count, generator=rng)
    entropy[torch.rand(count, generator=rng) < 0.3] = torch.nan
    return Samples(
        images=torch.randint(256, (count, *shape), generator=rng).byte(),
        labels=torch.randint(len(CLASSES), (count,), generator=rng),
        seeds=torch.randint(-(2**63), 2**63 - 1, (count,), generator=rng),
        rounds=torch.full((count,), 2),
        omega=torch.rand(count, generator=rng),
        entropy_before=torch.full((count,), torch.nan),
        entropy=entropy,
        correct=torch.randint(-1, 2, (count,), generator=rng).to(torch.int8),
        zero_steps=torch.randint(5, (count,), generator=rng),
    )


def same(a: Samples, b: Samples) -> bool:
    """Bit for bit, nan equal to nan, and of the same types."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Samples)]
    return all(x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.is_floating_point()) for x, y in pairs)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_samples_come_back_bit_for_bit(count, channels, height, width, seed):
    layout = replace(LAYOUT, image_shape=(channels, height, width))
    samples = some(count, layout.image_shape, seed)
    data = encode(samples, 16, layout)
    assert same(decode(records(data, "shard", layout), "shard", layout), samples)
    assert encode(samples, 16, layout) == data
    assert len(verified(data, "shard", 2, range(16, 16 + count), layout)) == count


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, width=32) | st.just(float("nan")), min_size=1, max_size=8))
def test_any_entropy_comes_back(values):
    samples = replace(some(len(values)), entropy=torch.tensor(values))
    assert same(decode(records(encode(samples, 0, LAYOUT), "shard", LAYOUT), "shard", LAYOUT), samples)


def test_images_are_png_files_and_the_unknown_is_null():
    samples = some(8)
    table = records(encode(samples, 8, LAYOUT), "shard", LAYOUT)
    with Image.open(io.BytesIO(image_files(table)[3])) as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), samples.images[3, 0])
    assert table["index"].to_pylist() == list(range(8, 16))
    assert table["entropy"].is_null().to_pylist() == samples.entropy.isnan().tolist()
    assert table["entropy_before"].null_count == 8
    known = [None, False, True]
    assert table["correct"].to_pylist() == [known[value + 1] for value in samples.correct.tolist()]


def test_the_file_says_to_datasets_what_it_holds():
    schema = pq.read_schema(pa.BufferReader(encode(some(2), 0, LAYOUT)))
    described = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert described["image"] == {"_type": "Image"}
    assert described["label"] == {"_type": "ClassLabel", "names": list(CLASSES)}
    assert list(described) == schema.names


@pytest.mark.parametrize("shape", [(3, 40, 56), (1, 33, 17)])
def test_jpeg_files_have_the_pixels_that_pillow_reads(shape):
    file = encode_image(np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8), "JPEG")
    pixels = np.asarray(Image.open(io.BytesIO(file)))
    np.testing.assert_array_equal(decode_image(file, shape), pixels.reshape(*shape[1:], -1).transpose(2, 0, 1))
    with pytest.raises(ValueError, match=r"no image \(image file is truncated"):
        decode_image(file[:-20], shape)


def test_samples_need_not_be_contiguous():
    samples = some(8)
    assert encode(samples[::2], 0, LAYOUT) == encode(samples[torch.arange(0, 8, 2)], 0, LAYOUT)


@pytest.mark.parametrize("name", DTYPES)
def test_a_field_of_another_type_or_length_is_named(name):
    samples = some(4)
    values = getattr(samples, name)
    for wrong in (values.double(), torch.cat([values, values]), values[None]):
        if name == "labels" and len(wrong) != 4:
            continue  # the labels are what counts the rows
        with pytest.raises(UserError, match=rf"^{name}: got torch\.\w+ \[.*\], expected {DTYPES[name]} \[4"):
            encode(replace(samples, **{name: wrong}), 0, LAYOUT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(2, 3, 5, 4).byte()}, r"images: got torch.uint8 \[2, 3, 5, 4\], .* \[2, 1, 5, 4\]"),
        ({"images": torch.zeros(2, 1, 4, 5).byte()}, r"images: got torch.uint8 \[2, 1, 4, 5\]"),
        ({"labels": torch.tensor([0, 3])}, "labels: got 0 .. 3, expected 0 .. 2"),
        ({"labels": torch.tensor([-1, 0])}, "labels: got -1 .. 0, expected 0 .. 2"),
        ({"correct": torch.tensor([0, 2], dtype=torch.int8)}, "correct: got 0 .. 2, expected -1 .. 1"),
    ],
)
def test_samples_that_do_not_fit_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        encode(replace(some(2), **change), 0, LAYOUT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ()}, "classes: got"),
        ({"classes": ("a", "a")}, "classes: got"),
        ({"classes": ("a", 1)}, "classes: got"),
        ({"classes": ("T-shirt/top",)}, "classes: got the name 'T-shirt/top'"),
        ({"classes": ("..",)}, r"classes: got the name '\.\.'"),
        ({"classes": ("",)}, "classes: got the name ''"),
        ({"image_shape": (2, 4, 4)}, r"image_shape: got \(2, 4, 4\)"),
        ({"image_shape": (1, 0, 4)}, r"image_shape: got \(1, 0, 4\)"),
        ({"image_shape": (4, 4)}, r"image_shape: got \(4, 4\)"),
        ({"image_shape": (1, 4.0, 4)}, r"image_shape: got \(1, 4.0, 4\)"),
        ({"shard_size": 0}, "shard_size: got 0, expected 1 or more"),
        ({"shard_size": True}, "shard_size: got True"),
    ],
)
def test_a_wrong_layout_is_named(change, message):
    with pytest.raises(UserError, match=message):
        replace(LAYOUT, **change)


def test_a_flipped_bit_anywhere_is_noticed():
    """Also in the footer, which no page checksum covers."""
    data, rng = encode(some(8), 0, LAYOUT), np.random.default_rng(0)
    footer = int.from_bytes(data[-8:-4], "little")
    places = [*rng.integers(len(data), size=150), *rng.integers(len(data) - footer - 8, len(data), size=150)]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(UserError, match=r"^shard: "):
            verified(bytes(damaged), "shard", 2, range(8), LAYOUT)


def test_a_flipped_bit_in_a_row_is_noticed_by_its_page_s_checksum_alone():
    data, rng = encode(some(8), 0, LAYOUT), np.random.default_rng(0)
    footer = int.from_bytes(data[-8:-4], "little")
    image = data.index(b"\x89PNG")
    for place in rng.integers(image, image + 400, size=50):
        assert place < len(data) - footer - 8
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(UserError, match=r"shard: not a readable Parquet file .*CRC checksum"):
            records(bytes(damaged), "shard", LAYOUT)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100), st.binary(max_size=20))
def test_a_shard_cut_short_or_with_something_after_it_is_noticed(percent, tail):
    data = encode(some(8), 0, LAYOUT)
    damaged = data[: len(data) * percent // 100] + tail
    if damaged != data:
        with pytest.raises(UserError, match=r"^shard: "):
            verified(damaged, "shard", 2, range(8), LAYOUT)


def other_columns() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": [1, 2]}), sink)
    return sink.getvalue().to_pybytes()


def changed(column: str, values: pa.Array) -> bytes:
    """A shard in which one column is another."""
    table = records(encode(some(3), 0, LAYOUT), "shard", LAYOUT)
    sink = pa.BufferOutputStream()
    index = table.schema.get_field_index(column)
    pq.write_table(table.set_column(index, table.schema.field(column), values), sink)
    return sink.getvalue().to_pybytes()


def images_of(png: bytes | None, path: str | None = None) -> bytes:
    image = {"bytes": png, "path": path}
    return changed("image", pa.array([image] * 3, pa.struct({"bytes": pa.binary(), "path": "str"})))


def no_images() -> bytes:
    return changed("image", pa.array([None] * 3, pa.struct({"bytes": pa.binary(), "path": "str"})))


def png_of(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


class Malice:
    """Runs when unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def torch_file(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Malice(marker), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: b"", "not a readable Parquet file"),
        (lambda _: b"PAR1", "not a readable Parquet file"),
        (lambda _: b"\0" * 4096, "not a readable Parquet file"),
        (lambda _: b"file_name,label\n", "not a readable Parquet file"),
        (lambda _: other_columns(), "other columns or class names"),
        (lambda _: encode(some(3), 0, replace(LAYOUT, classes=("x", "y", "z"))), "other columns or class names"),
        (lambda _: changed("label", pa.array([0, 3, 1])), "column label: got 0 .. 3, expected 0 .. 2"),
        (lambda _: changed("label", pa.array([0, -1, 1])), "column label: got -1 .. 1, expected 0 .. 2"),
        (lambda _: changed("seed", pa.array([0, None, 1])), "column seed: got rows without a value"),
        (lambda _: images_of(b"no png"), "column image: "),
        (lambda _: images_of(b""), "column image: "),
        (lambda _: no_images(), "column image: got rows without an image of their own"),
        (lambda _: images_of(None), "column image: got rows without an image of their own"),
        (lambda _: images_of(None, "/etc/passwd"), "column image: got rows without an image of their own"),
        (lambda _: images_of(png_of(np.zeros((5, 4), np.uint8)), "/etc/passwd"), "column image: got rows without an"),
        (lambda _: images_of(png_of(np.zeros((4, 5), np.uint8))), "got a L image of 5 x 4 pixels; expected images"),
        (lambda _: images_of(png_of(np.zeros((5, 4, 3), np.uint8))), "got a RGB image of 4 x 5 pixels"),
        (lambda _: images_of(png_of(np.zeros((5, 4), np.uint8))[:-30]), "column image: "),
        (lambda marker: pickle.dumps(Malice(marker), 5), "got a Python pickle, which is not opened"),
        (lambda marker: pickle.dumps(Malice(marker), 2), "got a Python pickle, which is not opened"),
        (lambda marker: pickle.dumps(Malice(marker), 0), "not a readable Parquet file"),
        (torch_file, r"got a zip archive \(as torch.save makes\), which is not opened"),
    ],
)
def test_what_is_no_shard_is_refused_and_runs_nothing(tmp_path, make, message):
    marker = tmp_path / "ran"
    with pytest.raises(UserError, match=f"^some/file: .*{message}"):
        decode(records(make(marker), "some/file", LAYOUT), "some/file", LAYOUT)
    assert not marker.exists()


def test_the_malice_of_these_tests_would_run(tmp_path):
    pickle.loads(pickle.dumps(Malice(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()
