"""Trains small models, exports them with public converters, and writes what onnxruntime computes with them.

For every model NAME.onnx there is NAME.safetensors: `in.X` for every input and `out.Y` for every output. Labels that are texts
are written as their index among the classes. Tests read these files, so they need no Python.

    pip install -r requirements.txt && python make_models.py [NAME ...]
"""

import io
import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 12
MODELS = {}


def model(f):
    MODELS[f.__name__] = f
    return f


def write(name, proto, inputs, classes=None, folder=HERE):
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    with open(os.path.join(folder, name + ".onnx"), "wb") as f:
        f.write(data)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(data, options)
    tensors = {}
    for key, value in inputs.items():
        value = np.asarray(value)
        tensors["in." + key] = np.ascontiguousarray(value.astype(np.int64 if value.dtype.kind in "iub" else np.float64))
    for info, value in zip(session.get_outputs(), session.run(None, inputs)):
        if isinstance(value, list):  # ZipMap: a list of dictionaries
            value = np.array([[row[k] for k in row] for row in value])
        if value.dtype.kind in "OU":
            value = np.array([list(classes).index(v) for v in value.ravel()]).reshape(value.shape)
        kind = np.int64 if value.dtype.kind in "iub" else np.float64
        tensors["out." + info.name] = np.ascontiguousarray(value.astype(kind))
    save_file(tensors, os.path.join(folder, name + ".safetensors"))
    print(f"{name}: {len(data)} bytes, {', '.join(sorted(tensors))}")


# ---------------------------------------------------------------- scikit-learn


def iris():
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))
    return x[order].astype(np.float32), y[order]


def wine():
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))
    return x[order].astype(np.float32), y[order]


def cancer():
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    order = np.random.default_rng(1).permutation(len(x))
    return x[order].astype(np.float32), y[order]


def diabetes():
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return (x * 20).astype(np.float32), (y / 100).astype(np.float32)


def sklearn_export(name, estimator, x, classes=None, options=None, opset=None, initial=None):
    from skl2onnx import to_onnx

    if options is None and hasattr(estimator, "classes_"):
        options = {id(estimator): {"zipmap": False}}
    kwargs = {"initial_types": initial} if initial else {"X": x[:1]}
    proto = to_onnx(estimator, options=options, target_opset=opset, **kwargs)
    key = proto.graph.input[0].name
    write(name, proto, {key: x[:ROWS]}, classes)


@model
def logistic_binary():
    from sklearn.linear_model import LogisticRegression

    x, y = cancer()
    sklearn_export("logistic_binary", LogisticRegression(C=0.1).fit(x, y), x)


@model
def logistic_multi():
    from sklearn.linear_model import LogisticRegression

    x, y = iris()
    # The default options: probabilities go through a ZipMap.
    sklearn_export("logistic_multi", LogisticRegression(max_iter=500).fit(x, y), x, options={})


@model
def logistic_texts():
    from sklearn.linear_model import LogisticRegression

    x, y = iris()
    names = np.array(["setosa", "versicolor", "virginica"])
    sklearn_export("logistic_texts", LogisticRegression(max_iter=500).fit(x, names[y]), x, classes=names, opset=12)


@model
def logistic_one_vs_rest():
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    x, y = iris()
    sklearn_export("logistic_one_vs_rest", OneVsRestClassifier(LogisticRegression()).fit(x, y * 10 + 3), x)


@model
def linear_svc():
    from sklearn.svm import LinearSVC

    x, y = iris()
    sklearn_export("linear_svc", LinearSVC(max_iter=10000).fit(x, y), x, options={})


@model
def linear_svc_binary():
    from sklearn.svm import LinearSVC

    x, y = cancer()
    sklearn_export("linear_svc_binary", LinearSVC(max_iter=10000).fit(x, y), x, options={})


@model
def svc_linear():
    from sklearn.svm import SVC

    x, y = cancer()
    sklearn_export("svc_linear", SVC(kernel="linear", C=0.01).fit(x[:200, :8], y[:200]), x[:, :8], options={})


@model
def mlp_classifier():
    from sklearn.neural_network import MLPClassifier

    x, y = iris()
    sklearn_export("mlp_classifier", MLPClassifier((16, 8), max_iter=800, random_state=1).fit(x, y), x)


@model
def mlp_binary_tanh():
    from sklearn.neural_network import MLPClassifier

    x, y = cancer()
    m = MLPClassifier((12,), activation="tanh", max_iter=400, random_state=1).fit(x, y)
    sklearn_export("mlp_binary_tanh", m, x, options={})


@model
def mlp_regressor():
    from sklearn.neural_network import MLPRegressor

    x, y = diabetes()
    sklearn_export("mlp_regressor", MLPRegressor(hidden_layer_sizes=(12, 6), activation="logistic", max_iter=500, random_state=1).fit(x, y), x)


@model
def sgd_unscaled():
    """Features far from each other's ranges: scores of hundreds and thousands, of which often all say no."""
    from sklearn.linear_model import SGDClassifier

    x, y = wine()
    sklearn_export("sgd_unscaled", SGDClassifier(loss="log_loss", random_state=1).fit(x, y), x)


@model
def sgd_one_vs_rest():
    from sklearn.linear_model import SGDClassifier

    x, y = iris()
    sklearn_export("sgd_one_vs_rest", SGDClassifier(loss="log_loss", random_state=1).fit(x, y), x)


@model
def qda():
    """One column of wine reaches 1,700, others 1: without a range for each column, squares could be too large."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = wine()
    p = make_pipeline(StandardScaler(), QuadraticDiscriminantAnalysis()).fit(x, y)
    sklearn_export("qda", p, x, options={id(p): {"zipmap": False}})


@model
def ridge():
    from sklearn.linear_model import Ridge

    x, y = diabetes()
    sklearn_export("ridge", Ridge().fit(x, np.stack([y, -2 * y + 1], 1)), x)


@model
def scaler_pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = wine()
    p = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    sklearn_export("scaler_pipeline", p, x, options={id(p): {"zipmap": False}})


@model
def scaler_mlp():
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    x, y = wine()
    p = make_pipeline(MinMaxScaler(), MLPClassifier((10,), max_iter=800, random_state=1)).fit(x, y)
    sklearn_export("scaler_mlp", p, x, options={id(p): {"zipmap": False}})


@model
def pca_logistic():
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    x, y = cancer()
    p = make_pipeline(PCA(6), LogisticRegression()).fit(x, y)
    sklearn_export("pca_logistic", p, x, options={id(p): {"zipmap": False}})


@model
def columns():
    """One input per column, as from a data frame, with categories that are integers."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"age": rng.normal(40, 12, 200), "amount": rng.normal(900, 300, 200), "kind": rng.integers(1, 5, 200)})
    y = (frame.age / 40 + frame.amount / 900 + (frame.kind == 2) > 2.2).astype(int)
    t = ColumnTransformer([("n", StandardScaler(), ["age", "amount"]), ("c", OneHotEncoder(), ["kind"])])
    p = make_pipeline(t, LogisticRegression()).fit(frame, y)
    types = [("age", FloatTensorType([None, 1])), ("amount", FloatTensorType([None, 1])), ("kind", Int64TensorType([None, 1]))]
    proto = to_onnx(p, initial_types=types, options={id(p): {"zipmap": False}})
    rows = frame[:ROWS]
    write("columns", proto, {
        "age": rows[["age"]].to_numpy(np.float32),
        "amount": rows[["amount"]].to_numpy(np.float32),
        "kind": rows[["kind"]].to_numpy(np.int64),
    })


@model
def decision_tree():
    from sklearn.tree import DecisionTreeClassifier

    x, y = iris()
    sklearn_export("decision_tree", DecisionTreeClassifier(max_depth=4, random_state=1).fit(x, y), x)


@model
def random_forest():
    from sklearn.ensemble import RandomForestClassifier

    x, y = iris()
    sklearn_export("random_forest", RandomForestClassifier(12, max_depth=4, random_state=1).fit(x, y), x)


@model
def gradient_boosting():
    from sklearn.ensemble import GradientBoostingClassifier

    x, y = cancer()
    sklearn_export("gradient_boosting", GradientBoostingClassifier(n_estimators=15, max_depth=3, random_state=1).fit(x, y), x)


@model
def gradient_boosting_regressor():
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = diabetes()
    sklearn_export("gradient_boosting_regressor", GradientBoostingRegressor(n_estimators=15, random_state=1).fit(x, y), x)


# ---------------------------------------------------------------- boosting libraries


def boosted(name, estimator, x, convert):
    from onnxmltools.convert.common.data_types import FloatTensorType

    proto = convert(estimator, initial_types=[("input", FloatTensorType([None, x.shape[1]]))], target_opset=15)
    write(name, proto, {"input": x[:ROWS]})


@model
def xgboost_classifier():
    import xgboost
    from onnxmltools import convert_xgboost

    x, y = iris()
    m = xgboost.XGBClassifier(n_estimators=6, max_depth=3).fit(x, y)
    boosted("xgboost_classifier", m, x, convert_xgboost)


@model
def xgboost_binary():
    import xgboost
    from onnxmltools import convert_xgboost

    x, y = cancer()
    m = xgboost.XGBClassifier(n_estimators=12, max_depth=3).fit(x, y)
    boosted("xgboost_binary", m, x, convert_xgboost)


@model
def xgboost_regressor():
    import xgboost
    from onnxmltools import convert_xgboost

    x, y = diabetes()
    m = xgboost.XGBRegressor(n_estimators=10, max_depth=3).fit(x, y)
    boosted("xgboost_regressor", m, x, convert_xgboost)


@model
def lightgbm_binary():
    import lightgbm
    from onnxmltools import convert_lightgbm

    x, y = cancer()
    m = lightgbm.LGBMClassifier(n_estimators=12, max_depth=3, verbose=-1).fit(x, y)
    boosted("lightgbm_binary", m, x, convert_lightgbm)


@model
def lightgbm_multi():
    import lightgbm
    from onnxmltools import convert_lightgbm

    x, y = iris()
    m = lightgbm.LGBMClassifier(n_estimators=6, max_depth=3, verbose=-1).fit(x, y)
    boosted("lightgbm_multi", m, x, convert_lightgbm)


@model
def lightgbm_categories():
    """Splits by sets of categories: branches of the converted trees lead to common nodes."""
    import lightgbm
    from onnxmltools import convert_lightgbm

    rng = np.random.default_rng(1)
    x = np.stack([rng.integers(0, 8, 300), rng.normal(size=300)], 1).astype(np.float32)
    y = (np.isin(x[:, 0], [1, 4, 6]) ^ (x[:, 1] > 0.5)).astype(int)
    m = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, min_data_per_group=1, cat_smooth=1, max_cat_to_onehot=1)
    boosted("lightgbm_categories", m.fit(x, y, categorical_feature=[0]), x, convert_lightgbm)


@model
def lightgbm_regressor():
    import lightgbm
    from onnxmltools import convert_lightgbm

    x, y = diabetes()
    m = lightgbm.LGBMRegressor(n_estimators=10, max_depth=3, verbose=-1).fit(x, y)
    boosted("lightgbm_regressor", m, x, convert_lightgbm)


# ---------------------------------------------------------------- PyTorch


def torch_export(name, module, x, dynamo, opset=None, dynamic=True, key="x", output="y"):
    import torch

    module.eval()
    buffer = io.BytesIO()
    kwargs = {"input_names": [key], "output_names": [output]}
    if opset:
        kwargs["opset_version"] = opset
    if dynamo:
        if dynamic:
            kwargs["dynamic_shapes"] = ({0: torch.export.Dim("batch", min=1, max=4096)},)
        program = torch.onnx.export(module, (x,), dynamo=True, verbose=False, **kwargs)
        data = program.model_proto.SerializeToString()
    else:
        if dynamic:
            kwargs["dynamic_axes"] = {key: {0: "batch"}, output: {0: "batch"}}
        torch.onnx.export(module, (x,), buffer, dynamo=False, **kwargs)
        data = buffer.getvalue()
    proto = onnx.load_from_string(data)
    for node in proto.graph.node:  # stack traces and the like
        del node.metadata_props[:]
        node.doc_string = ""
    write(name, proto, {key: x.numpy()})


def torch_nets():
    import torch
    from torch import nn

    torch.manual_seed(7)

    class LeNet(nn.Module):
        def __init__(self, pool):
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
            self.pool = pool
            self.f1, self.f2, self.f3 = nn.Linear(400, 60), nn.Linear(60, 40), nn.Linear(40, 10)

        def forward(self, x):
            x = self.pool(torch.relu(self.c1(x)))
            x = self.pool(torch.relu(self.c2(x)))
            x = torch.flatten(x, 1)
            return self.f3(torch.relu(self.f2(torch.relu(self.f1(x)))))

    class Block(nn.Module):
        def __init__(self, inner, outer, stride):
            super().__init__()
            self.c1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
            self.b1 = nn.BatchNorm2d(outer)
            self.c2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
            self.b2 = nn.BatchNorm2d(outer)
            self.down = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

        def forward(self, x):
            y = self.b2(self.c2(torch.relu(self.b1(self.c1(x)))))
            return torch.relu(y + self.down(x))

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
            self.block = Block(8, 12, 2)
            self.head = nn.Linear(12, 5)

        def forward(self, x):
            x = self.block(self.stem(x))
            return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))

    return LeNet, ResNet


def encoder_block(width, heads, hidden):
    """Attention written out, normalisation first, GELU."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.f1, self.f2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = self.qkv(self.n1(x)).view(b, t, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            a = torch.softmax(q @ k.transpose(-2, -1) / (width // heads) ** 0.5, -1) @ v
            x = x + self.out(a.transpose(1, 2).reshape(b, t, width))
            return x + self.f2(nn.functional.gelu(self.f1(self.n2(x))))

    return Encoder()


def settle(net, shape):
    """Gives batch normalisations the statistics of some data."""
    import torch

    net.train()
    for _ in range(20):
        net(torch.randn(16, *shape))
    net.eval()
    return net


for _dynamo in (False, True):
    _way = "dynamo" if _dynamo else "script"

    def _mlp(dynamo=_dynamo, way=_way):
        import torch
        from torch import nn

        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 16), nn.Sigmoid(), nn.Linear(16, 4))
        torch_export(f"torch_mlp_{way}", net, torch.randn(5, 20), dynamo)

    def _lenet(dynamo=_dynamo, way=_way):
        import torch
        from torch import nn

        LeNet, _ = torch_nets()
        pool = nn.AvgPool2d(2) if dynamo else nn.MaxPool2d(2)
        torch_export(f"torch_lenet_{way}", LeNet(pool), torch.randn(2, 1, 28, 28), dynamo)

    def _resnet(dynamo=_dynamo, way=_way):
        import torch

        _, ResNet = torch_nets()
        net = settle(ResNet(), (3, 12, 12))
        torch_export(f"torch_resnet_{way}", net, torch.randn(2, 3, 12, 12), dynamo)

    def _transformer(dynamo=_dynamo, way=_way):
        import torch
        from torch import nn

        torch.manual_seed(11)
        if dynamo:
            torch.backends.mha.set_fastpath_enabled(False)
            layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)
        else:
            layer = encoder_block(16, 2, 24)
        torch_export(f"torch_transformer_{way}", layer, torch.randn(2, 6, 16), dynamo)

    def _activations(dynamo=_dynamo, way=_way):
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.f, self.norm = nn.Linear(6, 8), nn.LayerNorm(8)
                self.act = [nn.GELU(), nn.SiLU(), nn.ELU(), nn.LeakyReLU(0.1), nn.Softplus(), nn.Hardswish(), nn.Hardsigmoid(),
                            nn.Tanh(), nn.ReLU6(), nn.GELU(approximate="tanh"), nn.Mish(), nn.Softsign()]

            def forward(self, x):
                x = self.norm(self.f(x))
                return torch.stack([a(x) for a in self.act], 1), torch.log_softmax(x, 1)

        torch_export(f"torch_activations_{way}", Net(), torch.randn(3, 6), dynamo)

    for _f in (_mlp, _lenet, _resnet, _transformer, _activations):
        MODELS[f"torch{_f.__name__}_{_way}"] = _f


@model
def torch_transformer_old():
    """As older versions export: normalisation and GELU written out as many operators."""
    import torch

    torch.manual_seed(12)
    torch_export("torch_transformer_old", encoder_block(16, 2, 24), torch.randn(2, 6, 16), False, opset=13)


@model
def torch_tokens():
    """Token ids through an embedding, with a mask and positions."""
    import torch
    from torch import nn

    torch.manual_seed(2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.p, self.f = nn.Embedding(20, 8), nn.Embedding(5, 8), nn.Linear(8, 3)

        def forward(self, ids):
            x = self.e(ids) + self.p(torch.arange(ids.shape[1]))
            scores = x @ x.transpose(1, 2) / 8 ** 0.5
            mask = torch.triu(torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool), 1)
            x = torch.softmax(scores.masked_fill(mask, float("-inf")), -1) @ x
            return self.f(x.mean(1))

    torch_export("torch_tokens", Net(), torch.randint(0, 20, (3, 5)), False, opset=14, key="ids")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    failed = []
    for name in sys.argv[1:] or MODELS:
        try:
            MODELS[name]()
        except Exception as error:
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    sys.exit(f"failed: {failed}" if failed else 0)
