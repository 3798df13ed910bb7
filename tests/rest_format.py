"""JSON of tensorflow/serving's REST API, as g3doc/api_rest.md has it: see model_server."""

import base64
import binascii
import json

import numpy as np
import tensorflow as tf

_KINDS = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,)}


class RefusedError(Exception):
    """What a request gets instead of an answer."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def invalid(text):
    return RefusedError("INVALID_ARGUMENT", text)


def _is_base64_object(value):
    return isinstance(value, dict) and set(value) == {"b64"}


def _tensor(value, dtype):
    """Turns JSON into a tensor; the first of each list says how long the others are."""
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    items = list(_items(value, shape, 0, tf.as_dtype(dtype)))
    array = np.empty(len(items), object)
    array[:] = items
    return tf.constant(array.reshape(shape).tolist() if items else [], dtype, shape)


def _items(value, shape, depth, dtype):
    if isinstance(value, list):
        if depth == len(shape) or len(value) != shape[depth]:
            raise invalid(f"Encountered list at unexpected size: {len(value)}")
        for item in value:
            yield from _items(item, shape, depth + 1, dtype)
    elif depth < len(shape):
        raise invalid("Encountered a value where a list is expected")
    else:
        yield _scalar(value, dtype)


def _scalar(value, dtype):
    if dtype == tf.string and isinstance(value, dict):
        return _decode(value)
    if dtype == tf.string and isinstance(value, str):
        return value.encode()
    if (
        dtype != tf.string
        and type(value) in _KINDS[np.dtype(dtype.as_numpy_dtype).kind]
    ):
        return value
    raise invalid(
        f"JSON Value: {json.dumps(value)} Type: {type(value).__name__} is not of "
        f"expected type: {dtype.name}"
    )


def _decode(value):
    if not _is_base64_object(value) or not isinstance(value["b64"], str):
        raise invalid(
            f"JSON Value: {json.dumps(value)} not formatted correctly for base64 data"
        )
    try:
        return base64.b64decode(value["b64"], validate=True)
    except binascii.Error:
        raise invalid("Unable to base64 decode") from None


def read_request(body, version):
    """Returns signature name, inputs, and whether they came in rows."""
    try:
        request = json.loads(body)
    except ValueError:
        raise invalid("JSON Parse error: Invalid value. at offset: 0") from None
    if not isinstance(request, dict) or ("inputs" in request) == (
        "instances" in request
    ):
        raise invalid("Request body must have one of 'inputs' or 'instances' keys")
    name = request.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    specs = {key: info.dtype for key, info in version.find(name).inputs.items()}
    if "inputs" in request:
        columns = _named(request["inputs"], specs)
    else:
        columns = _columns(request["instances"], specs)
    inputs = {key: _tensor(values, specs[key]) for key, values in columns.items()}
    return name, inputs, "instances" in request


def _named(value, specs):
    if not isinstance(value, dict) or _is_base64_object(value):
        if len(specs) != 1:
            raise invalid(f"inputs is a plain value, but expecting {len(specs)} inputs")
        return {next(iter(specs)): value}
    for key in value:
        if key not in specs:
            raise invalid("JSON object: has an input that the signature does not")
    if len(value) != len(specs):
        raise invalid("JSON object: does not have all named inputs")
    return value


def _columns(rows, specs):
    if not isinstance(rows, list) or not rows:
        raise invalid("Request data is not a non-empty list of 'instances'")
    named = [_named(row, specs) for row in rows]
    return {key: [row[key] for row in named] for key in specs}


def render_answer(outputs, is_rows, inputs):
    columns = {
        key: _as_json(value.numpy(), key.endswith("_bytes"))
        for key, value in sorted(outputs.items())
    }
    single = next(iter(columns.values())) if len(columns) == 1 else None
    if not is_rows:
        return {"outputs": columns if single is None else single}
    size = len(next(iter(inputs.values())))
    for key, value in columns.items():
        if not isinstance(value, list) or len(value) != size:
            raise invalid(f"Tensor name: {key} has inconsistent batch size")
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    return {"predictions": rows if single is None else single}


def _as_json(value, is_bytes):
    if isinstance(value, np.ndarray):
        return [_as_json(item, is_bytes) for item in value]
    if not isinstance(value, bytes):
        return value.item()
    if is_bytes:
        return {"b64": base64.b64encode(value).decode()}
    return value.decode()
