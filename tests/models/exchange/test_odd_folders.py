"""Odd folders end in one clear line: settings that are absurd, files that are damaged."""

import json
import math
import random
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published import CONFIGS, cut_into_shards, folder, write

from seqarena.core.errors import UserError
from seqarena.models.exchange import huggingface

ODD_VALUES: list[Any] = [
    None, 0, -1, 1, 3, 10**9, 10**12, 10**30, 10**400, 0.5, 2.0, -0.0, 1e-320, 1e300,
    math.nan, math.inf, -math.inf, True, False, "", "12", "auto", "\ud800", "[/red]",
    [], [1], {}, {"a": None}, [[[]]],
]  # fmt: skip
SIZES = (
    "vocab_size",
    "n_embd",
    "hidden_size",
    "n_layer",
    "num_hidden_layers",
)  # any other is wrong


def said_of(place: Path) -> str | None:
    """None: it was read. Else the one line that refused it. Any other exception fails the test."""
    try:
        huggingface.load(place, say=lambda _: None)
    except UserError as error:
        return str(error)
    return None


def is_one_line(said: str) -> bool:
    return said.encode() != b"" and "\n" not in said


@pytest.mark.parametrize("family", CONFIGS)
def test_any_value_of_any_setting_is_read_or_refused(family: str, tmp_path: Path) -> None:
    config = folder(family, tmp_path).config
    own = {*config} - {"architectures", "transformers_version", "task_specific_params"}
    others = {"quantization_config", "auto_map", "head_dim", "rope_parameters", "id2label"}
    draw = random.Random(family)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in sorted(own | others):
        for value in draw.sample(ODD_VALUES, 3):
            (tmp_path / "config.json").write_text(json.dumps({**config, name: value}))
            said = said_of(tmp_path)
            assert said is None or is_one_line(said)
            if name in SIZES and value != config[name]:
                assert said is not None, (name, value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000  # kilobytes


@pytest.mark.parametrize("size", [10**6, 10**9, 10**12, 10**18, 10**40])
@pytest.mark.parametrize(
    ("family", "name"),
    [("gpt2", "n_layer"), ("gpt2", "n_inner"), ("gpt2", "n_head"), ("bert", "type_vocab_size"),
     ("llama", "num_key_value_heads"), ("mamba", "expand"), ("mamba", "state_size")],
)  # fmt: skip
def test_a_size_that_no_tensor_has_is_refused_before_anything_is_built(
    family: str, name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(family, tmp_path).set(**{name: size})
    monkeypatch.setattr(huggingface, "match", None)
    said = said_of(tmp_path)
    assert said is not None
    assert f"{name} = " in said


@pytest.mark.parametrize("name", ["n_embd", "n_layer", "n_inner", "vocab_size"])
def test_a_long_axis_without_numbers_makes_no_size_possible(name: str, tmp_path: Path) -> None:
    """A tensor of no numbers may have an axis of any length in the header."""
    found = folder("gpt2", tmp_path).put(lambda held: held | {"x": torch.zeros(1 << 60, 0)})
    found.set(**{name: 1 << 59})
    assert f"{name} = " in (said_of(tmp_path) or "")


@pytest.mark.parametrize("family", CONFIGS)
def test_each_setting_may_be_absent_and_none_is_enough(family: str, tmp_path: Path) -> None:
    config = folder(family, tmp_path).config
    for name in config:
        rest = {key: value for key, value in config.items() if key != name}
        (tmp_path / "config.json").write_text(json.dumps(rest))
        said = said_of(tmp_path)
        assert said is None or is_one_line(said)
        only = {"model_type": family, name: config[name]}
        (tmp_path / "config.json").write_text(json.dumps(only))
        assert is_one_line(said_of(tmp_path) or "")


def header(tensors: dict[str, Any], numbers: bytes = b"\0" * 16) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def tensor(shape: list[Any], dtype: str = "F32", offsets: tuple[int, int] = (0, 16)) -> dict:
    return {"wte.weight": {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}}


# What lies in place of config.json, or of model.safetensors, of a GPT-2.
ODD_CONFIGS: list[bytes] = [
    b"", b"\0" * 100, b"[]", b"null", b"3", b'"gpt2"', b"{", b"{}", b"\xff\xfe{\0}\0",
    b'{"model_type": "gpt2"}', b'{"model_type": ["gpt2"]}', b'{"model_type": {"a": 1}}',
    b'{"model_type": NaN}', b'{"model_type": "gpt2", "n_embd": 24, "n_embd": 32}',
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"model_type": "gpt2", "a": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"n_embd": ' + b"9" * 10_000 + b"}", b'{"d_model": 24, "n_layer": 2}',
    b'{"d_model": {}, "n_layer": [], "ssm_cfg": 3}',
]  # fmt: skip
ODD_WEIGHTS: list[bytes] = [
    b"", b"\0" * 8, b"\xff" * 100, struct.pack("<Q", 1 << 60) + b"{}", header({}),
    header(tensor([4])), header(tensor([], offsets=(0, 4)), b"0000"),
    header(tensor([2, 2])), header(tensor([-4])), header(tensor([1 << 62, 4])),
    header(tensor([4], offsets=(0, 99))), header(tensor([4], offsets=(16, 0))),
    header(tensor([4], "F4")), header(tensor([2], "I64")), header(tensor(["4"])),
    header(tensor([4]) | {"__metadata__": {"format": 3}}),
    header(tensor([4]) | {"__metadata__": {"format": "tf"}}),
]  # fmt: skip


@pytest.mark.parametrize("content", ODD_CONFIGS, ids=range(len(ODD_CONFIGS)))
def test_an_odd_config_is_refused(content: bytes, tmp_path: Path) -> None:
    folder("gpt2", tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    assert is_one_line(said_of(tmp_path) or "")


@pytest.mark.parametrize("content", ODD_WEIGHTS, ids=range(len(ODD_WEIGHTS)))
def test_odd_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    folder("gpt2", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    assert is_one_line(said_of(tmp_path) or "")


def remove_all(place: Path) -> None:
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def as_file(place: Path) -> None:
    remove_all(place)
    place.write_text("")


def as_folders(place: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (place / name).unlink()
        (place / name).mkdir()


def long_shard(place: Path) -> None:
    files = cut_into_shards(place)
    index = {"weight_map": dict.fromkeys(files, "x" * 300 + ".safetensors")}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))


def whole_numbers(place: Path) -> None:
    write({"wte.weight": torch.zeros(50, 24, dtype=torch.int64)}, place / "model.safetensors")


@pytest.mark.parametrize("spoil", [remove_all, as_file, as_folders, long_shard, whole_numbers])
def test_an_odd_folder_is_refused(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    place = tmp_path / "folder"
    folder("gpt2", place)
    spoil(place)
    assert is_one_line(said_of(place) or "")


@pytest.mark.parametrize(
    "file", ["config.json", "model.safetensors.index.json", "model-00001-of-00003.safetensors"]
)
def test_changed_bytes_are_refused_or_read(file: str, tmp_path: Path) -> None:
    """Bytes of the JSON, or of a header, are changed, cut or doubled."""
    folder("llama", tmp_path)
    cut_into_shards(tmp_path)
    whole = (tmp_path / file).read_bytes()
    end = 8 + struct.unpack("<Q", whole[:8])[0] if file.endswith("safetensors") else len(whole)
    draw = random.Random(file)
    for _ in range(80):
        content, place = bytearray(whole), draw.randrange(end)
        match draw.randrange(3):
            case 0:
                content[place] = draw.randrange(256)
            case 1:
                del content[place : place + draw.randrange(1, 40)]
            case _:
                content[place:place] = content[place : place + draw.randrange(1, 40)]
        (tmp_path / file).write_bytes(content)
        said = said_of(tmp_path)
        assert said is None or is_one_line(said)


def test_no_code_of_a_folder_is_run(tmp_path: Path) -> None:
    folder("gpt2", tmp_path).set(auto_map={"AutoModelForCausalLM": "modeling_gpt2.Model"})
    (tmp_path / "modeling_gpt2.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    assert "code of its own, which is never run" in (said_of(tmp_path) or "")
    huggingface.load(tmp_path, ignore=["auto_map"], say=lambda _: None)
    assert not (tmp_path / "ran").exists()
