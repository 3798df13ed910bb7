"""A model server for tests, in a process that has TensorFlow and nothing of ours.

    python -m model_server --bundle=export --name=dc

Follows tensorflow/serving's documented rules (g3doc/api_rest.md, the messages of
tensorflow-serving-api) to the letter, where they can be followed in Python: paths, the
two formats of requests, base64, answers, codes of errors. It serves the highest version
under --bundle, and turns to a new one once that is loaded. Prints a line of JSON when it
listens: its ports, and the modules of ours that it has imported.
"""

import argparse
import json
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops of graphs
from google.protobuf import json_format
from rest_format import RefusedError, invalid, read_request, render_answer
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_HTTP = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404}
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>\d+))?"
    r"(?P<rest>|:predict|/metadata)"
)


class Version:
    """A loaded SavedModel."""

    def __init__(self, place):
        self.number = int(place.name)
        file = (place / "saved_model.pb").read_bytes()
        defs = saved_model_pb2.SavedModel.FromString(file).meta_graphs[0].signature_def
        self.defs = get_model_metadata_pb2.SignatureDefMap(signature_def=defs)
        self._model = tf.saved_model.load(str(place))

    def find(self, name):
        name = name or "serving_default"
        if name not in self._model.signatures:
            raise invalid(
                f'Serving signature name: "{name}" not found in signature def'
            )
        return self.defs.signature_def[name]

    def run(self, name, inputs):
        signature = self.find(name).inputs
        if set(inputs) != set(signature):
            raise invalid(
                f"input size does not match signature: {len(inputs)}!="
                f"{len(signature)} len({{{','.join(sorted(inputs))}}}) != "
                f"len({{{','.join(sorted(signature))}}})."
            )
        for key, value in inputs.items():
            expected = tf.TensorShape(signature[key].tensor_shape)
            if value.dtype != signature[key].dtype:
                raise invalid(f"Expects arg {key} of another dtype")
            if not expected.is_compatible_with(value.shape):
                raise invalid(f"Expects arg {key} to be {expected}: {value.shape}")
        try:
            return self._model.signatures[name or "serving_default"](**inputs)
        except tf.errors.InvalidArgumentError as error:
            raise invalid(error.message) from None


class Model:
    """The versions of a model: the highest is served, once it is loaded."""

    def __init__(self, name, base):
        self.name, self._base = name, base
        self._served, self.states = None, {}

    def watch(self):
        while True:
            self.refresh()
            time.sleep(0.1)

    def refresh(self):
        numbers = [int(p.name) for p in self._base.iterdir() if p.name.isdigit()]
        highest = max(numbers, default=None)
        if highest is None or highest in self.states:
            return
        self.states[highest] = "LOADING"
        before, self._served = self._served, Version(self._base / str(highest))
        self.states[highest] = "AVAILABLE"
        if before is not None:
            self.states[before.number] = "END"

    def find(self, name, version=None):
        self.require(name)
        served = self._served
        if served is None or version not in (None, served.number):
            wanted = (
                f"Latest({name})" if version is None else f"Specific({name}, {version})"
            )
            raise RefusedError("NOT_FOUND", f"Servable not found for request: {wanted}")
        return served

    def require(self, name):
        if name != self.name:
            raise RefusedError(
                "NOT_FOUND", f"Could not find any versions of model {name}"
            )


def make_handler(model):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._reply(b"")

        def do_POST(self):
            self._reply(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_):
            pass

        def _reply(self, body):
            try:
                status, content = 200, self._respond(body)
            except RefusedError as refusal:
                status, content = _HTTP[refusal.code], {"error": str(refusal)}
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _respond(self, body):
            found = _PATH.fullmatch(self.path)
            method = "POST" if found and found["rest"] == ":predict" else "GET"
            if found is None or self.command != method:
                raise invalid(f"Malformed request: {self.command} {self.path}")
            number = found["version"] and int(found["version"])
            if found["rest"] == "":
                return _status(model, found["name"], number)
            version = model.find(found["name"], number)
            if found["rest"] == "/metadata":
                return _metadata(model, version)
            name, inputs, is_rows = read_request(body, version)
            return render_answer(version.run(name, inputs), is_rows, inputs)

    return Handler


def _status(model, name, number):
    model.require(name)
    ok = {"error_code": "OK", "error_message": ""}
    found = [
        {"version": str(version), "state": state, "status": ok}
        for version, state in sorted(model.states.items(), reverse=True)
        if number in (None, version)
    ]
    if not found:
        raise RefusedError(
            "NOT_FOUND", f"Could not find version {number} of model {name}"
        )
    return {"model_version_status": found}


def _metadata(model, version):
    content = json_format.MessageToDict(
        version.defs,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    spec = {"name": model.name, "signature_name": "", "version": str(version.number)}
    return {"model_spec": spec, "metadata": {"signature_def": content}}


def _refusing(method):
    def call(self, request, context):
        try:
            return method(self, request)
        except RefusedError as refusal:
            return context.abort(grpc.StatusCode[refusal.code], str(refusal))

    return call


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self._model = model

    def _find(self, spec):
        number = spec.version.value if spec.HasField("version") else None
        return self._model.find(spec.name, number)

    @_refusing
    def Predict(self, request):
        version = self._find(request.model_spec)
        inputs = {
            key: tf.constant(tf.make_ndarray(value), value.dtype)
            for key, value in request.inputs.items()
        }
        outputs = version.run(request.model_spec.signature_name, inputs)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self._model.name
        response.model_spec.version.value = version.number
        for key in request.output_filter or outputs:
            if key not in outputs:
                raise invalid(f"output tensor alias not found in signature: {key}")
            response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key].numpy()))
        return response

    @_refusing
    def GetModelMetadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid("Metadata field must be signature_def")
        version = self._find(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = self._model.name
        response.model_spec.version.value = version.number
        response.metadata["signature_def"].Pack(version.defs)
        return response


class Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model):
        self._model = model

    @_refusing
    def GetModelStatus(self, request):
        spec = request.model_spec
        number = spec.version.value if spec.HasField("version") else None
        content = _status(self._model, spec.name, number)
        return json_format.ParseDict(
            {
                "model_version_status": [
                    {**entry, "status": {"error_code": "OK"}}
                    for entry in content["model_version_status"]
                ]
            },
            get_model_status_pb2.GetModelStatusResponse(),
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--name", default="dc")
    flags = parser.parse_args()
    model = Model(flags.name, flags.bundle)
    model.refresh()
    threading.Thread(target=model.watch, daemon=True).start()
    rest = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(model))
    unlimited = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(4), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Predictions(model), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(model), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ours = sorted(name for name in sys.modules if name.startswith("dc_keras"))
    ports = {"rest": rest.server_port, "grpc": port, "ours": ours}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    rest.serve_forever()


if __name__ == "__main__":
    main()
