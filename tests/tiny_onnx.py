"""A tiny ONNX file: the mean of each channel, then a matrix."""

import numpy as np
import onnx

TYPES = onnx.TensorProto
MATRIX = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.2, 0.2, 0.3]])


def write(path, matrix=MATRIX, side=4, shape=None, kind=TYPES.FLOAT, inputs=1):
    """Scores: the channel means times ``matrix`` (3, C); a second output has them negated."""
    helper = onnx.helper
    shape = shape or ("n", 3, side, side)
    last = shape[3] == 3 and shape[1] != 3
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TYPES.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["means"], axes=[1, 2] if last else [2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["scores"]),
        helper.make_node("Neg", ["scores"], ["negated"]),
    ]
    classes = matrix.shape[1]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("image", kind, shape)]
        + [helper.make_tensor_value_info(f"more{index}", kind, shape) for index in range(inputs - 1)],
        [helper.make_tensor_value_info(name, TYPES.FLOAT, (shape[0], classes)) for name in ("scores", "negated")],
        [onnx.numpy_helper.from_array(matrix.astype(np.float32), "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
