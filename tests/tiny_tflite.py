"""A tiny TensorFlow Lite file, written with the schema that LiteRT brings: the mean of each channel, then a matrix."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def tensor(model, shape, kind, name, data=None, quantization=None):
    buffer = schema.BufferT()
    if data is not None:
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), dtype=np.uint8)
    model.buffers.append(buffer)
    made = schema.TensorT()
    made.shape, made.type, made.name, made.buffer = list(shape), kind, name.encode(), len(model.buffers) - 1
    if quantization is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = [quantization[0]]
        made.quantization.zeroPoint = [quantization[1]]
    model.subgraphs[0].tensors.append(made)
    return len(model.subgraphs[0].tensors) - 1


def operator(model, code, inputs, outputs, options_type=0, options=None):
    entry = schema.OperatorCodeT()
    entry.builtinCode = entry.deprecatedBuiltinCode = code
    entry.version = 1
    model.operatorCodes.append(entry)
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, inputs, outputs
    made.builtinOptionsType, made.builtinOptions = options_type, options
    model.subgraphs[0].operators.append(made)


def write(path, matrix, side=4, image="float32", channels=3, output=(1 / 128, 3)):
    """Class scores = channel means of a (side, side) image times ``matrix`` (3, C).

    ``image`` is what it takes: float32, or uint8 or int8 that stand for 0 to 1.
    """
    model = schema.ModelT()
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    model.subgraphs = [graph]
    kinds = schema.TensorType
    classes = matrix.shape[1]
    kind = {"float32": kinds.FLOAT32, "uint8": kinds.UINT8, "int8": kinds.INT8}[image]
    quantization = {"float32": None, "uint8": (1 / 255, 0), "int8": (1 / 255, -128)}[image]
    source = tensor(model, (1, side, side, channels), kind, "image", quantization=quantization)
    values = source
    if quantization:
        values = tensor(model, (1, side, side, channels), kinds.FLOAT32, "values")
        operator(model, schema.BuiltinOperator.DEQUANTIZE, [source], [values])
    axes = tensor(model, (2,), kinds.INT32, "axes", np.array([1, 2], dtype=np.int32))
    means = tensor(model, (1, channels), kinds.FLOAT32, "means")
    reduce = schema.ReducerOptionsT()
    reduce.keepDims = False
    operator(model, schema.BuiltinOperator.MEAN, [values, axes], [means], schema.BuiltinOptions.ReducerOptions, reduce)
    weights = tensor(model, (classes, channels), kinds.FLOAT32, "weights", matrix.T.astype(np.float32))
    scores = tensor(model, (1, classes), kinds.FLOAT32, "scores")
    dense = schema.FullyConnectedOptionsT()
    operator(
        model,
        schema.BuiltinOperator.FULLY_CONNECTED,
        [means, weights],
        [scores],
        schema.BuiltinOptions.FullyConnectedOptions,
        dense,
    )
    if quantization:
        rounded = tensor(model, (1, classes), kinds.UINT8, "bytes", quantization=output)
        operator(model, schema.BuiltinOperator.QUANTIZE, [scores], [rounded])
        scores = rounded
    graph.inputs, graph.outputs = [source], [scores]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
