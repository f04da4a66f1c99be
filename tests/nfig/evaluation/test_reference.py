"""Distances to published statistics, by a network that the user brings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from typer.testing import CliRunner

from nfig import cli
from nfig.evaluation import frechet
from nfig.evaluation.onnx_network import OnnxNetwork

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8))).float()


def nfig(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def write_network(
    file: Path, shape: tuple[int | str, ...], *, kind: int = TensorProto.FLOAT
) -> Path:
    """Its features are the means of the three colours, as numbers from 0 to 255."""
    axes = [2, 3] if shape[1] == 3 else [1, 2]
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["features"], axes=axes, keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), file)
    return file


@pytest.mark.parametrize("shape", [("n", 3, "y", "x"), ("n", 8, 8, 3)])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8])
def test_a_network_sees_levels_of_8_bits(
    tmp_path: Path, shape: tuple[int | str, ...], kind: int
) -> None:
    network = OnnxNetwork(write_network(tmp_path / "n.onnx", shape, kind=kind), image_size=8)
    assert torch.allclose(network(IMAGES / 127.5 - 1), IMAGES.mean((2, 3)), atol=1e-3)


def test_a_distance_from_statistics_is_that_of_the_gaussians() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(60, 4)), generator.normal(1, 2, size=(500, 4))
    found = frechet.estimate_from(frechet.Gaussian(b.mean(0), np.cov(b.T)), a)
    assert found.distance == pytest.approx(frechet.frechet_distance(a, b))
    assert found.low < found.distance < found.high
    assert found.counts == (60,)


def test_evaluate_reports_distances_from_the_statistics(
    tiny_checkpoint: Path, data_file: Path, tmp_path: Path
) -> None:
    network = write_network(tmp_path / "n.onnx", ("n", 3, "y", "x"))
    pixels = np.load(data_file)["x"].astype(np.float64).mean((1, 2))
    statistics = tmp_path / "statistics.npz"
    np.savez(statistics, mu=pixels.mean(0), sigma=np.cov(pixels.T), arr_0=np.zeros(3))
    command = ["evaluate", "--model", tiny_checkpoint, "--data", data_file, "--out", tmp_path]
    nfig(*command, "--count", 6, "--statistics", statistics, "--network", network)
    report = json.loads((tmp_path / "evaluation.json").read_text())
    found = report["frechet"]["reference"]
    assert found["samples"]["counts"] == [6]
    assert found["floor"]["counts"] == found["reconstructions"]["counts"] == [30]
    assert found["floor"]["distance"] < 100 < found["samples"]["distance"]
    assert {len(each) for each in report["identity"]["reference"].values()} == {64}
    assert "reference statistics, samples" in (tmp_path / "index.html").read_text()


def test_what_is_wrong_is_said_before_anything_is_drawn(
    tiny_checkpoint: Path, data_file: Path, tmp_path: Path
) -> None:
    network = write_network(tmp_path / "n.onnx", ("n", 3, "y", "x"))
    small = write_network(tmp_path / "small.onnx", ("n", 3, 8, 8))
    single = write_network(tmp_path / "single.onnx", (1, 3, "y", "x"))
    good, wide = tmp_path / "good.npz", tmp_path / "wide.npz"
    np.savez(good, mu=np.zeros(3), sigma=np.eye(3))
    np.savez(wide, mu=np.zeros(5), sigma=np.eye(5))
    np.savez(tmp_path / "flat.npz", mu=np.zeros(3), sigma=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", mu=np.array([{}], dtype=object), sigma=np.eye(1))
    (tmp_path / "text.onnx").write_text("no network")
    out = tmp_path / "out"
    command = ["evaluate", "--model", tiny_checkpoint, "--data", data_file, "--out", out]
    wrong = [
        (["--statistics", good], "statistics: they are of a network's features"),
        (["--network", network], "statistics: they are of a network's features"),
        (["--statistics", tmp_path / "no.npz", "--network", network], "statistics: no file"),
        (["--statistics", data_file, "--network", network], "with mu and sigma"),
        (["--statistics", tmp_path / "pickle.npz", "--network", network], "with mu and sigma"),
        (["--statistics", tmp_path / "flat.npz", "--network", network], "must be F and F x F"),
        (["--statistics", wide, "--network", network], "gives 3 features, the statistics"),
        (["--statistics", good, "--network", tmp_path / "no.onnx"], "network: no file"),
        (["--statistics", good, "--network", tmp_path / "text.onnx"], "is not an ONNX network"),
        (["--statistics", good, "--network", small], "takes images of shape"),
        (["--statistics", good, "--network", single], "takes images of shape"),
    ]
    for arguments, message in wrong:
        output = nfig(*command, *arguments, code=2)
        assert output.startswith("error: ") and message in output, output
    assert not out.exists()
