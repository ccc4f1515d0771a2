#!/usr/bin/env python3
"""Writes onnxruntime.json: random tree ensembles, rows, and what onnxruntime computes.

Needs numpy, onnx and onnxruntime (1.32). Run it in this folder:  python3 make.py > onnxruntime.json
Features, thresholds and weights are multiples of 1/64, so that ties occur and sums are exact in 32 bits.
"""

import json

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

FEATURES, ROWS = 3, 12
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
random = np.random.default_rng(11)


def number(low=-64):
    return float(random.integers(low, 65)) / 64


def grow(a, prefix, tree, depth, modes, ids, low):
    node = sum(t == tree for t in a["nodes_treeids"])
    leaf = depth == 0 or random.random() < 0.2
    values = [tree, node, 0 if leaf else int(random.integers(FEATURES)), 0.0 if leaf else number()]
    for name, value in zip(["treeids", "nodeids", "featureids", "values"], values):
        a["nodes_" + name].append(value)
    a["nodes_modes"].append("LEAF" if leaf else str(random.choice(modes)))
    at = len(a["nodes_modes"]) - 1
    for side in ["nodes_truenodeids", "nodes_falsenodeids"]:
        a[side].append(0)
    if leaf:
        for target in ids:
            for name, value in zip(["treeids", "nodeids", "ids", "weights"], [tree, node, target, number(low)]):
                a[prefix + "_" + name].append(value)
    else:
        for side in ["nodes_truenodeids", "nodes_falsenodeids"]:
            a[side][at] = grow(a, prefix, tree, depth - 1, modes, ids, low)
    return node


def case(operator, n, ids, trees, depth, modes, low=-64, **more):
    classifier = operator == "TreeEnsembleClassifier"
    prefix = "class" if classifier else "target"
    names = ["treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids"]
    a = {"nodes_" + name: [] for name in names}
    a |= {prefix + "_" + name: [] for name in ["treeids", "nodeids", "ids", "weights"]}
    for tree in range(trees):
        grow(a, prefix, tree, depth, modes, ids, low)
    a |= more
    size = {"classlabels_int64s": list(range(n))} if classifier else {"n_targets": n}
    outputs = ["label", "scores"] if classifier else ["scores"]
    node = helper.make_node(operator, ["x"], outputs, domain="ai.onnx.ml", **a, **size)
    kinds = {"label": (TensorProto.INT64, [None]), "scores": (TensorProto.FLOAT, [None, n])}
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info(name, *kinds[name]) for name in outputs],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    x = (random.integers(-64, 65, (ROWS, FEATURES)) / 64).astype(np.float32)
    results = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    result = dict(zip(outputs, (r.tolist() for r in results)))
    return {"operator": operator, "n": n, "attributes": a, "x": x.tolist(), **result}


def cases():
    both = [MODES[:1], MODES]
    for aggregate in ["SUM", "AVERAGE", "MIN", "MAX"]:
        for n in [1, 3]:
            for modes in both:
                base = {"base_values": [number() for _ in range(n)]} if modes is MODES else {}
                ids = range(n)
                yield case("TreeEnsembleRegressor", n, ids, 4, 3, modes, aggregate_function=aggregate, **base)
    for n in [1, 2]:
        for post in ["LOGISTIC", "SOFTMAX"]:
            yield case("TreeEnsembleRegressor", n, range(n), 3, 2, MODES[:1], post_transform=post)
    for post in ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]:
        for low in [0, -64]:
            for base in [[], [0.25]]:
                more = {"post_transform": post} | ({"base_values": base} if base else {})
                yield case("TreeEnsembleClassifier", 2, [0], 5, 3, MODES[:1], low=low, **more)
                yield case("TreeEnsembleClassifier", 2, [0, 1], 5, 3, MODES, low=low, **more)
            yield case("TreeEnsembleClassifier", 2, [1], 5, 3, MODES[:2], low=low, post_transform=post)
        for base in [[], [0.25, -0.5, 0.125]]:
            more = {"post_transform": post} | ({"base_values": base} if base else {})
            yield case("TreeEnsembleClassifier", 3, range(3), 6, 3, MODES, **more)


print("[\n" + ",\n".join(json.dumps(c) for c in cases()) + "\n]")
