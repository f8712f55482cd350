"""A shard: consecutive samples of one round as the bytes of a Parquet file.

`datasets` opens it with an Image column `image` (lossless PNG, unless the pool's layout says otherwise), a ClassLabel
column `label` and the record of each image. Nothing in the file depends on when, where or by whom it was written: the
same samples give the same bytes (with the same versions of pyarrow, Pillow and zlib, see `writer`).
"""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import get_args

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, features
from torch import Tensor

from dp.pool.paths import Encoding
from dp.samples import Samples
from dp.utils.errors import UserError
from dp.utils.files import pickle_in
from dp.utils.threads import in_threads, useful

SHARD_SIZE = 1000
LARGEST_SHARD = 1_000_000
LONGEST_SIDE = 16_383  # pixels, as WebP has it
ENCODINGS = get_args(Encoding)
QUALITY = 95  # of JPEG and WebP
THREADS = useful(8)  # that encode and decode images
MODES = {1: "L", 3: "RGB"}  # Pillow's names, by channels

DTYPES = {
    "images": torch.uint8,
    "labels": torch.int64,
    "seeds": torch.int64,
    "rounds": torch.int64,
    "omega": torch.float32,
    "entropy_before": torch.float32,
    "entropy": torch.float32,
    "correct": torch.int8,
    "zero_steps": torch.int64,
}
# Columns of a shard beside the image, and the type `datasets` gives them; `index` is the slot within the round.
COLUMNS = {
    "label": "int64",
    "round": "int64",
    "index": "int64",
    "seed": "int64",
    "omega": "float32",
    "entropy_before": "float32",
    "entropy": "float32",
    "correct": "bool",
    "zero_steps": "int64",
}
MAY_BE_NULL = ("omega", "entropy_before", "entropy", "correct")
REPEATING = ["label", "round", "omega", "zero_steps"]  # few distinct values: a dictionary makes them small


@dataclass(frozen=True)
class Layout:
    """The layout that all shards of a pool share.

    Attributes:
        classes: names, in order of the labels.
        image_shape: (C, H, W), C 1 or 3.
        shard_size: rows of a shard; the last one of a round may have fewer.
        encoding: of the images: "PNG" (lossless), "JPEG" or "WEBP".

    Raises:
        UserError: a value out of range.
    """

    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    shard_size: int = SHARD_SIZE
    encoding: Encoding = "PNG"

    def __post_init__(self) -> None:
        names, shape, size = self.classes, self.image_shape, self.shard_size
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise UserError(f"classes: got {names!r}, expected one or more different names")
        for name in names:  # they are folders in an export
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise UserError(f'classes: got the name {name!r}, expected names of folders; leave out "/"')
        whole = len(shape) == 3 and all(type(length) is int and 1 <= length <= LONGEST_SIDE for length in shape)
        if not whole or shape[0] not in MODES:
            raise UserError(
                f"image_shape: got {shape!r}, expected (channels, height, width) with 1 or 3 channels and up to "
                f"{LONGEST_SIDE:,} pixels a side"
            )
        if type(size) is not int or not 1 <= size <= LARGEST_SHARD:
            raise UserError(f"shard_size: got {size!r}, expected 1 or more images, up to {LARGEST_SHARD:,}")
        if self.encoding not in ENCODINGS:
            raise UserError(f"encoding: got {self.encoding!r}, expected one of {', '.join(ENCODINGS)}")

    def shards(self, count: int) -> list[range]:
        """Return the slots of each shard of a round of `count` images."""
        size = self.shard_size
        return [range(first, min(first + size, count)) for first in range(0, count, size)]


def writer() -> str:
    """Return the versions of what shapes a shard's bytes beside its samples."""
    zlib = "zlib-ng" if features.check("zlib_ng") else "zlib"
    return f"pyarrow {pa.__version__}, Pillow {PIL.__version__}, {zlib} {features.version(zlib.replace('-', '_'))}"


def encode(samples: Samples, first_slot: int, layout: Layout) -> bytes:
    """Return the content of a shard's file; arguments and errors as of `table_of`."""
    return content_of(table_of(samples, first_slot, layout))


def table_of(samples: Samples, first_slot: int, layout: Layout) -> pa.Table:
    """Return the table of a shard, its images encoded by several threads.

    Args:
        samples: rows of one round, in order of slots.
        first_slot: slot of the first row within its round.
        layout: the pool's.

    Raises:
        UserError: samples that do not fit the layout.
    """
    _check(samples, layout)
    n = len(samples)
    pixels = samples.images.numpy(force=True)
    files = list(in_threads(lambda image: encode_image(image, layout.encoding), pixels, THREADS))
    image = pa.StructArray.from_arrays([pa.array(files, pa.binary()), pa.nulls(n, pa.string())], ["bytes", "path"])
    correct = samples.correct.numpy(force=True)
    columns = [
        image,
        pa.array(samples.labels.numpy(force=True)),
        pa.array(samples.rounds.numpy(force=True)),
        pa.array(np.arange(first_slot, first_slot + n)),
        pa.array(samples.seeds.numpy(force=True)),
        *(
            pa.array(values.numpy(force=True), from_pandas=True)  # nan becomes null
            for values in (samples.omega, samples.entropy_before, samples.entropy)
        ),
        pa.array(correct == 1, mask=correct == -1),
        pa.array(samples.zero_steps.numpy(force=True)),
    ]
    return pa.Table.from_arrays(columns, schema=_schema(layout))


def decode(table: pa.Table, name: str, layout: Layout, images: bool = True) -> Samples:
    """Return the samples of a shard.

    Args:
        table: of `records`.
        name: says in errors which file that is.
        layout: the pool's.
        images: decode them too; else only their records, with no images

    Raises:
        UserError: an image that cannot be decoded, or has another shape.
    """
    shown = decode_images(table, name, layout) if images else []
    pixels = np.array(list(shown), np.uint8)

    def column(name: str) -> Tensor:
        return torch.from_numpy(table[name].to_numpy().copy())  # null becomes nan

    return Samples(
        images=torch.from_numpy(pixels) if images else torch.empty((len(table), 0, 0, 0), dtype=torch.uint8),
        labels=column("label"),
        seeds=column("seed"),
        rounds=column("round"),
        omega=column("omega"),
        entropy_before=column("entropy_before"),
        entropy=column("entropy"),
        correct=torch.from_numpy(table["correct"].cast(pa.int8()).fill_null(-1).to_numpy().copy()),
        zero_steps=column("zero_steps"),
    )


def decode_images(table: pa.Table, name: str, layout: Layout) -> Iterator[np.ndarray]:
    """Yield the images of a shard, uint8 [C, H, W]; arguments and errors as of `decode`."""
    try:
        yield from in_threads(lambda file: decode_image(file, layout.image_shape), image_files(table), THREADS)
    except ValueError as error:
        raise UserError(
            f"{name}: column image: {error}; expected images of shape {layout.image_shape}; restore the file"
        ) from None


def records(data: bytes, name: str, layout: Layout) -> pa.Table:
    """Return the table of a shard, images still encoded.

    Checked are the checksums of its pages, its columns, the range of its labels, and that no value is missing.

    Args:
        data: the shard's content.
        name: says in errors which file that is.
        layout: the pool's.

    Raises:
        UserError: not a shard of this layout.
    """
    foreign = pickle_in(data)
    if foreign:
        raise UserError(f"{name}: {foreign}; expected a Parquet file, restore or repair it")
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table = file.read(use_threads=False)
        fits = table.schema.equals(_schema(layout), check_metadata=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(f"{name}: not a readable Parquet file ({reason}); restore or repair it") from None
    if not fits:
        raise UserError(
            f"{name}: other columns or class names than this pool's, expected image, {', '.join(COLUMNS)} "
            "and the classes of the manifest; restore or repair it"
        )
    for column in COLUMNS:
        if column not in MAY_BE_NULL and table[column].null_count:
            raise UserError(f"{name}: column {column}: got rows without a value, expected none; restore or repair it")
    image = table["image"].combine_chunks()
    if image.null_count or image.field("bytes").null_count or image.field("path").null_count < len(table):
        raise UserError(
            f"{name}: column image: got rows without an image of their own (null, or a path), expected the bytes of an "
            "image in each; restore or repair it"
        )
    labels = table["label"].to_numpy()
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(layout.classes):
        raise UserError(
            f"{name}: column label: got {labels.min()} .. {labels.max()}, "
            f"expected 0 .. {len(layout.classes) - 1}; restore or repair it"
        )
    return table


def check_place(table: pa.Table, name: str, round_: int, slots: range) -> pa.Table:
    """Return the table of a shard if it holds these slots of this round.

    Raises:
        UserError: it does not.
    """
    if set(table["round"].to_pylist()) != {round_} or table["index"].to_pylist() != list(slots):
        raise UserError(
            f"{name}: expected slots {slots.start} .. {slots.stop - 1} of round {round_}, each once, in columns round "
            "and index; restore it"
        )
    return table


def verified(data: bytes, name: str, round_: int, slots: range, layout: Layout) -> pa.Table:
    """Return the table of a shard that no manifest vouches for: it is whole, and holds these slots of this round.

    Raises:
        UserError: it is not.
    """
    table = check_place(records(data, name, layout), name, round_, slots)
    # Page checksums cover the rows; that writing them again gives the same file covers all the rest.
    if content_of(table) != data:
        raise UserError(f"{name}: damaged outside its rows; restore or repair it")
    return table


def image_files(table: pa.Table) -> list[bytes]:
    """Return the files of a table's images."""
    return [image["bytes"] for image in table["image"].to_pylist()]


def places_of(data: bytes, files: list[bytes], name: str) -> np.ndarray:
    """Return where files begin and end in a shard that has them in this order: int64 [n, 2].

    Raises:
        UserError: they are compressed once more.
    """
    places, end = np.empty((len(files), 2), np.int64), 0
    for row, file in enumerate(files):
        begin = data.find(file, end)
        if begin < 0:
            raise UserError(f"{name}: its images are compressed once more; train with the pool in memory")
        end = begin + len(file)
        places[row] = begin, end
    return places


def _check(samples: Samples, layout: Layout) -> None:
    for name, dtype in DTYPES.items():
        values = getattr(samples, name)
        shape = (len(samples), *(layout.image_shape if name == "images" else ()))
        if values.dtype != dtype or tuple(values.shape) != shape:
            raise UserError(
                f"{name}: got {values.dtype} {list(values.shape)}, expected {dtype} {list(shape)} as the pool has"
            )
    for name, low, high in (("labels", 0, len(layout.classes) - 1), ("correct", -1, 1)):
        values = getattr(samples, name)
        if len(values) and not low <= values.min() <= values.max() <= high:
            raise UserError(f"{name}: got {values.min()} .. {values.max()}, expected {low} .. {high}")


def _schema(layout: Layout) -> pa.Schema:
    """Return the Arrow schema, with the features of `datasets` in its metadata."""
    values: dict[str, object] = {name: {"dtype": dtype, "_type": "Value"} for name, dtype in COLUMNS.items()}
    values["label"] = {"names": list(layout.classes), "_type": "ClassLabel"}
    described = {"info": {"features": {"image": {"_type": "Image"}} | values}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    types = [(name, pa.type_for_alias(dtype)) for name, dtype in COLUMNS.items()]
    return pa.schema([("image", image), *types], {"huggingface": json.dumps(described)})


def content_of(table: pa.Table) -> bytes:
    """Return the content of the file of a shard's table."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=max(len(table), 1),
        compression="none",  # PNG is compressed already, and seeds and entropies do not compress
        use_dictionary=REPEATING,
        write_statistics=list(COLUMNS),
        write_page_checksum=True,
    )
    return sink.getvalue().to_pybytes()


def encode_image(image: np.ndarray, encoding: Encoding) -> bytes:
    """Encode uint8 [C, H, W] as a file: PNG is lossless, JPEG and WebP (quality 95) are several times smaller."""
    buffer = io.BytesIO()
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0).copy())
    picture.save(buffer, encoding, **({} if encoding == "PNG" else {"quality": QUALITY}))
    return buffer.getvalue()


def decode_image(file: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image file as uint8 [C, H, W]; ValueError for what is no image, or has another shape."""
    channels, height, width = shape
    try:
        with Image.open(io.BytesIO(file), formats=ENCODINGS) as image:
            # Before any pixel is unpacked. WebP knows no grey images: they come back with three equal channels.
            modes = {MODES[channels]} | ({"RGB"} if image.format == "WEBP" else set())
            if image.size != (width, height) or image.mode not in modes:
                raise ValueError(f"got a {image.mode} image of {image.width} x {image.height} pixels")
            if image.format == "JPEG":
                # The same bits in half of Pillow's time, where torchvision has it (it is said to move to torchcodec);
                # Pillow says more about a file that cannot be read. Imported here: it takes seconds.
                with contextlib.suppress(ImportError, RuntimeError):
                    from torchvision.io import decode_jpeg

                    return decode_jpeg(torch.frombuffer(bytearray(file), dtype=torch.uint8)).numpy()
            pixels = np.asarray(image if image.mode == MODES[channels] else image.convert(MODES[channels]))
    except ValueError:
        raise
    except Exception as error:  # of any kind: which one depends on where the bytes stop to be an image
        raise ValueError(f"got what is no image ({error})") from None
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


# Bytes that every encoded image has, and bytes for each byte of its pixels (JPEG and WebP: quality 95).
SIZES: dict[Encoding, tuple[int, float]] = {"PNG": (100, 0.7), "JPEG": (700, 0.19), "WEBP": (300, 0.14)}


def image_bytes(image_shape: tuple[int, int, int], encoding: Encoding) -> int:
    """Estimate the bytes of an image file, for images (C, H, W)."""
    every, each = SIZES[encoding]
    return round(every + each * prod(image_shape))
