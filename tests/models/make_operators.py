"""Writes small graphs of few operators each, with what onnxruntime computes with them, into operators/.

They cover shapes, versions and attributes that the models of make_models.py do not have.

    python make_operators.py [NAME ...]
"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from make_models import HERE, write

FOLDER = os.path.join(HERE, "operators")
CASES = {}
RNG = np.random.default_rng(3)
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64, np.dtype(np.float64): TensorProto.DOUBLE}


def real(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def case(name, nodes, inputs, constants=None, outputs=("y",), opset=17, ml=3, dims=None):
    """Nodes are (operator, inputs, outputs, attributes); a domain stands before a colon."""
    CASES[name] = (nodes, inputs, constants or {}, outputs, opset, ml, dims or {})


def build(name):
    nodes, inputs, constants, outputs, opset, ml, dims = CASES[name]
    made = []
    for i, (op, ins, outs, attributes) in enumerate(nodes):
        domain, _, op = op.rpartition(":")
        made.append(helper.make_node(op, ins.split(), outs.split(), name=f"{op}{i}", domain=domain, **attributes))
    infos = [helper.make_tensor_value_info(k, TYPES[v.dtype], dims.get(k, v.shape)) for k, v in inputs.items()]
    graph = helper.make_graph(
        made, name, infos,
        [helper.make_empty_tensor_value_info(o) for o in outputs],
        [v if isinstance(v, onnx.TensorProto) else numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), inputs


X = {"x": real(3, 4)}
I64 = lambda *v: np.array(v, np.int64)

# ---- products
case("gemm_transposed", [("Gemm", "x w b", "y", dict(alpha=0.5, beta=2.0, transA=1, transB=1))], {"x": real(4, 3)}, {"w": real(5, 4), "b": real(1, 5)})
case("gemm_no_bias", [("Gemm", "x w", "y", {})], X, {"w": real(4, 2)})
case("gemm_single_bias", [("Gemm", "x w b", "y", {})], X, {"w": real(4, 2), "b": np.float32(0.75)})
case("matmul_left_constant", [("MatMul", "w x", "y", {})], X, {"w": real(2, 3)})
case("matmul_batch", [("MatMul", "a b", "y", {})], {"a": real(2, 3, 4), "b": real(2, 4, 5)})
case("matmul_batch_constant", [("MatMul", "a b", "y", {})], {"a": real(2, 3, 4)}, {"b": real(2, 4, 5)})
case("matmul_vector", [("MatMul", "x w", "y", {})], X, {"w": real(4)})
case("matmul_vectors", [("MatMul", "x w", "y", {})], {"x": real(4)}, {"w": real(4, 3)})
case("matmul_scaled", [("MatMul", "x w", "a", {}), ("Mul", "a m", "b", {}), ("Add", "b c", "d", {}), ("Relu", "d", "y", {})], X, {"w": real(4, 5), "m": real(5), "c": real(1, 5)})
case("tiny_weights", [("Gemm", "x w b", "y", {})], {"x": real(3, 4, scale=50)}, {"w": real(4, 2, scale=1e-4), "b": real(2, scale=1e-3)})
# ---- arithmetic
case("arithmetic", [("Sub", "x c", "a", {}), ("Div", "a d", "b", {}), ("Neg", "b", "e", {}), ("Sub", "one e", "f", {}), ("Mul", "f f", "y", {})], X, {"c": real(4), "d": np.array([2, 4, 0.5, 3], np.float32), "one": np.float32(1)})
case("powers", [("Pow", "x two", "a", {}), ("Pow", "x three", "b", {}), ("Concat", "a b", "y", dict(axis=1))], X, {"two": np.float32(2), "three": I64(3)})
case("roots", [("Pow", "x h", "a", {}), ("Sqrt", "x", "b", {}), ("Reciprocal", "x", "c", {}), ("Log", "x", "d", {}), ("Exp", "x", "e", {}), ("Concat", "a b c d e", "y", dict(axis=1))], {"x": (np.abs(real(3, 4)) + 0.25).astype(np.float32)}, {"h": np.float32(-0.5)})
case("quotient", [("Abs", "b", "c", {}), ("Add", "c one", "d", {}), ("Div", "a d", "y", {})], {"a": real(3, 4), "b": real(3, 1)}, {"one": np.float32(0.5)})
case("quotient_signed", [("Div", "a b", "y", {})], {"a": real(3, 4), "b": np.array([[2], [-0.5], [1]], np.float32)})
case("extremes", [("Min", "x y0 z", "a", {}), ("Max", "a c", "y", {})], {"x": real(3, 4), "y0": real(3, 4), "z": real(1, 4)}, {"c": np.float32(-0.5)})
case("sum_mean", [("Sum", "a b c", "s", {}), ("Mean", "s b", "y", {})], {"a": real(3, 4), "b": real(4)}, {"c": real(3, 1)})
case("clip_attributes", [("Clip", "x", "y", dict(min=-0.5, max=0.25))], X, opset=6)
case("clip_one_side", [("Clip", "x  hi", "y", {})], X, {"hi": np.float32(0.3)})
CASES["clip_one_side"][0][0] = ("Clip", "x \x00 hi", "y", {})
case("comparisons", [("Greater", "x c", "g", {}), ("Less", "x z", "l", {}), ("And", "g l", "a", {}), ("Not", "a", "n", {}), ("Or", "n g", "o", {}), ("Where", "n x z", "w", {}), ("Cast", "o", "f", dict(to=1)), ("Add", "w f", "y", {})], {"x": real(3, 4), "z": real(3, 4)}, {"c": np.float32(0)})
case("where_constant", [("Where", "m x c", "y", {})], X, {"m": np.array([[1, 0, 1, 0]] * 3, bool), "c": np.float32(-2.5)})
case("sign_abs", [("Sign", "x", "a", {}), ("Abs", "x", "b", {}), ("Mul", "a b", "y", {})], X)
# ---- activations
case("activations", [("LeakyRelu", "x", "a", dict(alpha=0.2)), ("PRelu", "x s", "b", {}), ("ThresholdedRelu", "x", "c", dict(alpha=0.3)), ("Selu", "x", "d", {}), ("Celu", "x", "e", dict(alpha=0.5)), ("HardSigmoid", "x", "f", {}), ("Softsign", "x", "g", {}), ("Erf", "x", "h", {}), ("Concat", "a b c d e f g h", "y", dict(axis=1))], X, {"s": real(4)})
case("softmax_old", [("Softmax", "x", "y", dict(axis=1))], {"x": real(2, 3, 4)}, opset=11)
case("softmax_axis", [("Softmax", "x", "y", dict(axis=1))], {"x": real(2, 3, 4)})
case("softmax_two", [("Softmax", "x", "y", {})], {"x": real(5, 2)})
case("log_softmax", [("LogSoftmax", "x", "y", {})], X)
# ---- shapes
case("shapes", [("Shape", "x", "s", {}), ("Gather", "s zero", "b", {}), ("Unsqueeze", "b axes", "b1", {}), ("Concat", "b1 minus", "t", dict(axis=0)), ("Reshape", "x t", "r", {}), ("Transpose", "r", "q", dict(perm=[1, 0])), ("Transpose", "q", "y", {})], {"x": real(2, 3, 4)}, {"zero": np.int64(0), "axes": I64(0), "minus": I64(-1)}, dims={"x": ["batch", 3, 4]})
case("squeeze_attribute", [("Unsqueeze", "x", "a", dict(axes=[0, 3])), ("Squeeze", "a", "b", dict(axes=[0])), ("ReduceSum", "b", "c", dict(axes=[1], keepdims=0)), ("Squeeze", "c", "y", {})], X, opset=11)
case("permuted", [("Transpose", "x", "y", dict(perm=[2, 0, 1]))], {"x": real(2, 3, 4)})
case("slices", [("Slice", "x starts ends axes steps", "y", {})], {"x": real(4, 6)}, {"starts": I64(-1, 1), "ends": I64(-100, 2**62), "axes": I64(0, 1), "steps": I64(-2, 2)})
case("slice_attributes", [("Slice", "x", "y", dict(starts=[1], ends=[3], axes=[1]))], X, opset=9)
case("splits", [("Split", "x sizes", "a b", dict(axis=1)), ("Split", "b", "c d", dict(axis=1)), ("Concat", "d c a", "y", dict(axis=1))], {"x": real(3, 7)}, {"sizes": I64(3, 4)})
case("gathered", [("Gather", "x i", "y", dict(axis=1))], X, {"i": np.array([[3, -4], [0, 0]], np.int64)})
case("padded", [("Pad", "x p v", "y", {})], X, {"p": I64(0, 1, 1, 2), "v": np.float32(-0.5)})
case("expanded", [("Expand", "x s", "a", {}), ("Tile", "a r", "y", {})], {"x": real(3, 1)}, {"s": I64(2, 1, 4), "r": I64(1, 2, 1)})
case("flattened", [("Flatten", "x", "y", dict(axis=2))], {"x": real(2, 3, 4)})
case("depth", [("DepthToSpace", "x", "a", dict(blocksize=2)), ("SpaceToDepth", "a", "y", dict(blocksize=2))], {"x": real(1, 8, 2, 3)})
case("constants", [("ConstantOfShape", "n", "z", dict(value=numpy_helper.from_array(np.array([0.5], np.float32)))), ("Range", "a b c", "r", {}), ("Add", "z r", "s", {}), ("Constant", "", "k", dict(value_float=2.0)), ("Mul", "s k", "t", {}), ("Trilu", "m", "u", dict(upper=0)), ("MatMul", "x u", "v", {}), ("Add", "v t", "y", {})], X, {"n": I64(4), "a": np.float32(0), "b": np.float32(4), "c": np.float32(1), "m": real(4, 4)})
# ---- reductions
case("reductions", [("ReduceMean", "x", "a", dict(axes=[1, 2], keepdims=0)), ("ReduceMax", "x", "b", dict(axes=[1, 2], keepdims=0)), ("ReduceMin", "x", "c", dict(axes=[1, 2], keepdims=0)), ("ReduceSumSquare", "x", "d", dict(axes=[1, 2], keepdims=0)), ("ReduceL1", "x", "e", dict(axes=[1, 2], keepdims=0)), ("ReduceL2", "x", "f", dict(axes=[1, 2], keepdims=0)), ("Concat", "a b c d e f", "y", dict(axis=0))], {"x": real(2, 3, 4)})
case("reduce_operand", [("ReduceSum", "x axes", "a", dict(keepdims=1)), ("ReduceMean", "x", "b", {}), ("Add", "a b", "y", {})], {"x": real(2, 3)}, {"axes": I64(-1)})
case("argmax", [("ArgMax", "x", "a", dict(axis=1, keepdims=0)), ("ArgMin", "x", "b", dict(axis=-1, keepdims=0)), ("Concat", "a b", "y", dict(axis=0))], X)
case("top_k", [("TopK", "x k", "v i", dict(axis=1))], {"x": real(3, 6)}, {"k": I64(2)}, outputs=("v", "i"))
# ---- images
case("conv_strided", [("Conv", "x w b", "y", dict(strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2], group=2))], {"x": real(2, 4, 7, 6)}, {"w": real(6, 2, 3, 2), "b": real(6)})
case("conv_same", [("Conv", "x w", "y", dict(auto_pad="SAME_UPPER", strides=[2, 2]))], {"x": real(1, 2, 5, 5)}, {"w": real(3, 2, 3, 3)})
case("conv_depthwise", [("Conv", "x w", "y", dict(group=3, pads=[1, 1, 1, 1]))], {"x": real(1, 3, 4, 4)}, {"w": real(3, 1, 3, 3)})
case("conv_signal", [("Conv", "x w b", "a", dict(pads=[1, 1])), ("MaxPool", "a", "y", dict(kernel_shape=[2], strides=[2]))], {"x": real(2, 3, 8)}, {"w": real(4, 3, 3), "b": real(4)})
case("conv_normalised", [("Conv", "x w", "a", dict(pads=[1, 1, 1, 1])), ("BatchNormalization", "a s b m v", "c", {}), ("Relu", "c", "y", {})], {"x": real(1, 2, 4, 4)}, {"w": real(3, 2, 3, 3), "s": real(3), "b": real(3), "m": real(3), "v": np.abs(real(3)) + np.float32(0.5)})
case("normalised_alone", [("BatchNormalization", "x s b m v", "y", {})], {"x": real(2, 3, 4)}, {"s": real(3), "b": real(3), "m": real(3), "v": np.abs(real(3)) + np.float32(0.5)})
case("max_pool_ceil", [("Relu", "x", "a", {}), ("MaxPool", "a", "y", dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1]))], {"x": real(1, 2, 6, 6)})
case("average_pool_padded", [("AveragePool", "x", "a", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])), ("AveragePool", "x", "b", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)), ("Concat", "a b", "y", dict(axis=1))], {"x": real(1, 2, 5, 5)})
case("global_pools", [("GlobalAveragePool", "x", "a", {}), ("GlobalMaxPool", "x", "b", {}), ("Concat", "a b", "y", dict(axis=1))], {"x": real(2, 3, 4, 4)})
# ---- normalisation
case("layer_norm", [("LayerNormalization", "x s b", "y", dict(axis=1))], {"x": real(2, 3, 4)}, {"s": real(3, 4), "b": real(3, 4)})
case("layer_norm_written_out", [("ReduceMean", "x", "m", dict(axes=[-1])), ("Sub", "x m", "d", {}), ("Pow", "d two", "q", {}), ("ReduceMean", "q", "v", dict(axes=[-1])), ("Add", "v eps", "e", {}), ("Sqrt", "e", "r", {}), ("Div", "d r", "n", {}), ("Mul", "n s", "t", {}), ("Add", "t b", "y", {})], X, {"two": np.float32(2), "eps": np.float32(1e-5), "s": real(4), "b": real(4)}, opset=13)
case("gelu_written_out", [("Div", "x k", "a", {}), ("Erf", "a", "b", {}), ("Add", "b one", "c", {}), ("Mul", "x c", "d", {}), ("Mul", "d half", "y", {})], X, {"k": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}, opset=13)
case("silu_written_out", [("Sigmoid", "x", "s", {}), ("Mul", "x s", "y", {})], X)
case("sigmoid_written_out", [("Neg", "x", "n", {}), ("Exp", "n", "e", {}), ("Add", "e one", "d", {}), ("Reciprocal", "d", "y", {})], {"x": real(3, 4, scale=20)}, {"one": np.array([1], np.float32)})
case("softmax_written_out", [("ReduceMax", "x", "m", dict(axes=[1])), ("Sub", "x m", "d", {}), ("Exp", "d", "e", {}), ("ReduceSum", "e axes", "s", {}), ("Div", "e s", "y", {})], {"x": real(3, 4, scale=20)}, {"axes": I64(1)})
case("unit_norm_written_out", [("ReduceL2", "x", "n", dict(axes=[1])), ("Clip", "n eps", "c", {}), ("Expand", "c s", "e", {}), ("Div", "x e", "y", {})], X, {"eps": np.float32(1e-12), "s": I64(3, 4)})
case("products", [("ReduceProd", "x", "y", dict(axes=[1], keepdims=0))], X)
case("log_sum_exp", [("ReduceLogSumExp", "x", "y", dict(axes=[1]))], {"x": real(3, 4, scale=20)})
case("resized", [("Resize", "x  s", "y", dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"))], {"x": real(1, 2, 3, 4)}, {"s": np.array([1, 1, 2, 1.5], np.float32)})
CASES["resized"][0][0] = ("Resize", "x \x00 s", "y", CASES["resized"][0][0][3])
case("average_pool_ceil", [("AveragePool", "x", "y", dict(kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count_include_pad=1))], {"x": real(1, 1, 5, 5)})
case("svm_many_classes", [("ai.onnx.ml:SVMClassifier", "x", "l s", dict(kernel_type="LINEAR", kernel_params=[0.1, 0.0, 3.0], support_vectors=real(20).tolist(), vectors_per_class=[2, 1, 2], coefficients=real(10).tolist(), rho=[0.1, -0.2, 0.3], classlabels_ints=[4, 5, 6], post_transform="NONE"))], X, outputs=("l", "s"))
case("instance_norm", [("InstanceNormalization", "x s b", "y", {})], {"x": real(2, 3, 4, 4)}, {"s": real(3), "b": real(3)})
# ---- data types
case("half_weights", [("Cast", "w", "v", dict(to=1)), ("MatMul", "x v", "y", {})], X, {"w": real(4, 3).astype(np.float16)})
case("double", [("MatMul", "x w", "y", {})], {"x": real(3, 4).astype(np.float64)}, {"w": real(4, 3).astype(np.float64)})
case("typed_fields", [("Gemm", "x w", "y", {})], X, {"w": helper.make_tensor("w", TensorProto.FLOAT, [4, 2], real(8).tolist())})
case("integer_input", [("Cast", "x", "f", dict(to=1)), ("Mul", "f w", "y", {})], {"x": np.array([[1, -2], [3, 40]], np.int64)}, {"w": real(2)})
case("embedding", [("Gather", "e i", "y", {})], {"i": np.array([[1, 4], [0, 2]], np.int64)}, {"e": real(5, 3)})
# ---- control flow and functions
branch = lambda op: helper.make_graph([helper.make_node(op, ["x"], ["o" + op])], op, [], [helper.make_empty_tensor_value_info("o" + op)])
case("branch", [("If", "c", "t", dict(then_branch=branch("Relu"), else_branch=branch("Neg"))), ("Add", "t x", "y", {})], X, {"c": np.array(False)})
# ---- classical models
case("scaler_normalizer", [("ai.onnx.ml:Scaler", "x", "a", dict(offset=[0.5, 0.25, 1, -2], scale=[2.0, 0.5, 1.0, 3.0])), ("ai.onnx.ml:Normalizer", "a", "y", dict(norm="L2"))], X)
case("normalizer_l1", [("ai.onnx.ml:Normalizer", "x", "y", dict(norm="L1"))], X)
case("binarizer", [("ai.onnx.ml:Binarizer", "x", "y", dict(threshold=0.25))], X)
case("linear_one_score", [("ai.onnx.ml:LinearClassifier", "x", "l s", dict(coefficients=[1.0, -0.5, 0.25, 2.0], intercepts=[0.1], classlabels_ints=[3, 7], post_transform="LOGISTIC"))], X, outputs=("l", "s"))
case("linear_labels", [("ai.onnx.ml:LinearClassifier", "x", "l s", dict(coefficients=real(12).tolist(), intercepts=[0.1, 0, -0.1], classlabels_ints=[2, 9, 4], post_transform="LOGISTIC")), ("ai.onnx.ml:Normalizer", "s", "p", dict(norm="L1"))], X, outputs=("l", "p"))
case("linear_softmax_two", [("ai.onnx.ml:LinearClassifier", "x", "l s", dict(coefficients=[-1.0, 0.5, -0.25, -2.0, 1.0, -0.5, 0.25, 2.0], intercepts=[-0.1, 0.1], classlabels_ints=[0, 1], post_transform="SOFTMAX"))], X, outputs=("l", "s"))
case("linear_regressor", [("ai.onnx.ml:LinearRegressor", "x", "y", dict(coefficients=real(8).tolist(), intercepts=[0.1, 0.2], targets=2))], X)
case("svm_regressor", [("ai.onnx.ml:SVMRegressor", "x", "y", dict(kernel_type="LINEAR", kernel_params=[0.1, 0.0, 3.0], support_vectors=real(12).tolist(), coefficients=[0.5, -1.0, 0.25], rho=[0.3], n_supports=3))], X)
case("one_hot", [("ai.onnx.ml:OneHotEncoder", "x", "y", dict(cats_int64s=[1, 3, 40], zeros=1))], {"x": np.array([[1], [3], [2], [40]], np.int64)})
case("label_encoder", [("ai.onnx.ml:LabelEncoder", "x", "y", dict(keys_int64s=[1, 3, 40], values_floats=[0.5, -1.0, 2.0], default_float=9.0))], {"x": np.array([[1], [3], [2], [40]], np.int64)})
case("vectorizer", [("ai.onnx.ml:FeatureVectorizer", "a b", "y", dict(inputdimensions=[2, 3]))], {"a": real(3, 2), "b": real(3, 3)})

# ---- probabilities of which none is likely, as scikit-learn's converters write them
SCORES = np.array([[1, -2, 0.5], [-12, -14, -15], [-40, -42, -39.5], [-200, -300, -150], [20, 30, -5], [-30, 3, -100]], np.float32)
case("guarded_quotient", [("Mul", "x minus", "n", {}), ("Exp", "n", "e", {}), ("Add", "e one", "d", {}), ("Reciprocal", "d", "p", {}), ("ReduceSum", "p axis", "s", {}), ("Cast", "s", "b", dict(to=9)), ("Not", "b", "z", {}), ("Cast", "z", "g", dict(to=1)), ("Add", "p g", "above", {}), ("Mul", "g three", "m", {}), ("Add", "s m", "below", {}), ("Div", "above below", "y", {}), ("ArgMax", "y", "l", dict(axis=1))], {"x": SCORES}, {"minus": np.float32(-1), "one": np.float32(1), "axis": I64(1), "three": np.float32(3)}, outputs=("l", "y"))
case("own_sum", [("ai.onnx.ml:LinearClassifier", "x", "l s", dict(coefficients=np.eye(3).ravel().tolist(), intercepts=[0.0] * 3, classlabels_ints=[0, 1, 2], post_transform="LOGISTIC")), ("ai.onnx.ml:Normalizer", "s", "p", dict(norm="L1"))], {"x": np.array([[1, -2, 0.5], [-5, -7, -6], [20, 30, -5], [-30, 3, -100]], np.float32)}, outputs=("l", "p"))
case("power_sum", [("Exp", "x", "e", {}), ("ReduceSum", "e axis", "s", {}), ("Div", "e s", "y", {}), ("ArgMax", "e", "l", dict(axis=1))], {"x": SCORES[[0, 1, 2, 4, 5]]}, {"axis": I64(1)}, outputs=("l", "y"))
case("power_sum_across", [("Exp", "x", "e", {}), ("ReduceSum", "e axis", "s", dict(keepdims=0)), ("Div", "e s", "y", {})], {"x": real(3, 3)}, {"axis": I64(1)})
case("sigmoid_order", [("Sigmoid", "x", "s", {}), ("ArgMax", "s", "y", dict(axis=1))], {"x": SCORES})
case("softmax_order", [("Softmax", "x", "s", dict(axis=0)), ("ArgMax", "s", "y", dict(axis=1))], {"x": real(4, 3)})
# ---- what looks like a pattern and is none, or a part of one that is used elsewhere
case("norm_limited", [("ReduceL2", "x", "n", dict(axes=[1])), ("Max", "n e", "m", {}), ("Div", "x m", "y", {})], X, {"e": np.float32(5)})
case("norm_clipped", [("ReduceL2", "x", "n", dict(axes=[1])), ("Clip", "n e f", "m", {}), ("Div", "x m", "y", {})], X, {"e": np.float32(1e-6), "f": np.float32(1.5)})
case("norm_across", [("ReduceL2", "x", "n", dict(axes=[1], keepdims=0)), ("Div", "x n", "y", {})], {"x": real(4, 4)})
case("layer_norm_large_epsilon", [("ReduceMean", "x", "m", dict(axes=[-1])), ("Sub", "x m", "d", {}), ("Mul", "d d", "q", {}), ("ReduceMean", "q", "v", dict(axes=[-1])), ("Add", "eps v", "e", {}), ("Sqrt", "e", "r", {}), ("Div", "d r", "y", {})], X, {"eps": np.float32(0.5)}, opset=13, outputs=("y", "d", "r"))
case("gelu_of_another", [("Div", "x k", "a", {}), ("Erf", "a", "b", {}), ("Add", "b one", "c", {}), ("Mul", "z c", "d", {}), ("Mul", "d half", "y", {})], {"x": real(3, 4), "z": real(3, 4)}, {"k": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}, opset=13)
case("softmax_parts", [("ReduceMax", "x", "m", dict(axes=[1])), ("Sub", "x m", "d", {}), ("Exp", "d", "e", {}), ("ReduceSum", "e axes", "s", {}), ("Div", "e s", "y", {})], X, {"axes": I64(1)}, outputs=("y", "e", "s"))
# ---- what converters write now and then
case("column_broadcast", [("MatMul", "x w", "a", {}), ("Mul", "a m", "b", {}), ("Add", "b c", "y", {})], X, {"w": real(4, 1), "m": real(5), "c": real(5)})
case("whole_categories", [("Cast", "x", "i", dict(to=7)), ("ai.onnx.ml:OneHotEncoder", "i", "a", dict(cats_int64s=[-2, 0, 1, 40], zeros=1)), ("Flatten", "a", "y", {})], {"x": np.array([[1.5, 40.0], [-0.5, -2.75], [0.99, 7.0], [-3.0, 1.0]], np.float32)})
case("whole", [("Cast", "x", "i", dict(to=6)), ("Equal", "i zero", "b", {}), ("Cast", "b", "a", dict(to=1)), ("Cast", "i", "c", dict(to=1)), ("Add", "a c", "y", {})], {"x": np.array([[1.5, -1.5, 3, -3, 0.25, -0.25]], np.float32)}, {"zero": np.int32(0)})
case("never", [("IsNaN", "x", "n", {}), ("Where", "n c x", "y", {})], X, {"c": np.float32(7)})
case("normalizer_max", [("ai.onnx.ml:Normalizer", "x", "y", dict(norm="MAX"))], {"x": np.abs(real(3, 4)) + np.float32(0.25)})
case("power_of_base", [("Pow", "two x", "y", {})], X, {"two": np.float32(2)})
case("padded_modes", [("Pad", "x p", "a", dict(mode="reflect")), ("Pad", "a p", "b", dict(mode="edge")), ("Pad", "b p", "y", dict(mode="wrap"))], X, {"p": I64(1, 2, 1, 1)}, opset=19)
case("cumulated", [("CumSum", "x a", "b", {}), ("CumSum", "b c", "y", dict(exclusive=1, reverse=1))], {"x": real(2, 3, 4)}, {"a": np.int64(1), "c": np.int64(-1)})
case("group_norm_old", [("GroupNormalization", "x s b", "y", dict(num_groups=2))], {"x": real(2, 4, 3, 3)}, {"s": real(2), "b": real(2)}, opset=18)
KERNEL = dict(kernel_params=[0.1, 0.5, 3.0], support_vectors=real(20).tolist(), vectors_per_class=[2, 1, 2], coefficients=real(10).tolist(), rho=[0.1, -0.2, 0.3], classlabels_ints=[4, 5, 6], post_transform="NONE")
for _kind in ("RBF", "POLY", "SIGMOID"):
    case(f"svm_{_kind.lower()}", [("ai.onnx.ml:SVMClassifier", "x", "l s", dict(kernel_type=_kind, **KERNEL))], X, outputs=("l", "s"))
case("svm_regressor_rbf", [("ai.onnx.ml:SVMRegressor", "x", "y", dict(kernel_type="RBF", kernel_params=[0.1, 0.0, 3.0], support_vectors=real(12).tolist(), coefficients=[0.5, -1.0, 0.25], rho=[0.3], n_supports=3))], X)
case("label_default", [("ai.onnx.ml:LabelEncoder", "x", "y", dict(keys_int64s=[0, 1, 2], values_floats=[10.0, 20.0, 30.0], default_float=-5.0))], {"x": np.array([[0], [2], [5], [-3]], np.int64)})

if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    failed = []
    for name in sys.argv[1:] or CASES:
        nodes = CASES[name][0]
        try:
            proto, inputs = build(name)
            for node in proto.graph.node:  # an operand that is left out
                for i, operand in enumerate(node.input):
                    if operand == "\x00":
                        node.input[i] = ""
            write(name, proto, inputs, folder=FOLDER)
        except Exception as error:
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    sys.exit(f"failed: {failed}" if failed else 0)
