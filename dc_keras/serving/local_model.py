"""Runs the signatures of a SavedModel in this process, as a model server does.

A session imports the graph of a signature when it is first called. In contrast,
`tf.saved_model.load` builds all functions of all signatures in Python, which takes
seconds.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2

from dc_keras.errors import DataError
from dc_keras.serving.raw_requests import fill_unknown
from dc_keras.serving.saved_graph import (
    called_functions,
    node_name,
    read_graph,
    upstream_nodes,
)

_INIT_OP = "__saved_model_init_op"
# Called with many batches of one shape, for which compiling them with XLA pays.
_COMPILED = "rank_users"


class LocalModel:
    """The signatures of a SavedModel in a session of their own.

    Several threads may call signatures at the same time.

    Args:
        place: directory of the SavedModel.

    Raises:
        DataError: there is no SavedModel for serving.
    """

    def __init__(self, place: Path) -> None:
        _register_text_ops()
        self._place = place
        self._saved = read_graph(place / "saved_model.pb")
        graph_def = self._saved.graph_def
        # What the session does not have yet.
        self._nodes = {node.name: node for node in graph_def.node}
        self._functions = {f.signature.name: f for f in graph_def.library.function}
        if _COMPILED in self.signatures:
            for tensor in self._saved.signature_def[_COMPILED].outputs.values():
                self._nodes[node_name(tensor.name)].attr["_XlaMustCompile"].b = True
        self._lock = threading.Lock()
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=_config())
        self._initialize()

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the signatures."""
        return tuple(sorted({*self._saved.signature_def} - {_INIT_OP}))

    def predict(
        self, signature: str, inputs: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature: name of the signature.
            inputs: an array for each of its inputs; missing facts are filled in as
                unknown.

        Returns:
            Arrays by the name of the output.

        Raises:
            DataError: the model has no such signature, or the signature has other
                inputs.
        """
        if signature not in self.signatures:
            raise DataError(
                f"the bundle must have the signature {signature!r}; export it again. "
                f"Received: signatures={', '.join(self.signatures)}"
            )
        spec = self._saved.signature_def[signature]
        filled = fill_unknown(inputs, spec.inputs)
        if {*filled} != {*spec.inputs}:
            raise DataError(
                f"the signature {signature!r} takes {', '.join(sorted(spec.inputs))}. "
                f"Received: inputs={sorted(inputs)}"
            )
        outputs = {name: tensor.name for name, tensor in spec.outputs.items()}
        fed = {spec.inputs[name].name: value for name, value in filled.items()}
        answer: dict[str, np.ndarray] = self._run(outputs, fed)
        return answer

    def _initialize(self) -> None:
        """Restores the variables and fills the lookup tables."""
        saver = self._saved.saver_def
        variables = str(self._place / "variables" / "variables")
        self._run(saver.restore_op_name, {saver.filename_tensor_name: variables})
        if _INIT_OP in self._saved.signature_def:
            init = self._saved.signature_def[_INIT_OP].outputs[_INIT_OP]
            assets = {
                asset.tensor_info.name: str(self._place / "assets" / asset.filename)
                for asset in self._saved.asset_file_def
            }
            self._run(init.name, assets)

    def _run(self, outputs: Any, fed: Mapping[str, Any]) -> Any:
        names = outputs.values() if isinstance(outputs, dict) else [outputs]
        self._add_to_session([*names, *fed])
        return self._session.run(outputs, fed)

    def _add_to_session(self, tensors: Iterable[str]) -> None:
        """Imports what tensors are computed from, without what is there already."""
        with self._lock, self._session.graph.as_default() as graph:
            nodes = upstream_nodes(self._nodes, tensors)
            if not nodes:
                return
            functions = called_functions(nodes, self._functions)
            part = tf.compat.v1.GraphDef(
                versions=self._saved.graph_def.versions, node=nodes
            )
            part.library.function.extend(functions)
            for node in nodes:
                del self._nodes[node.name]
            for function in functions:
                del self._functions[function.signature.name]
            new = {node.name for node in nodes}
            present = {
                name: _tensor(graph, name)
                for node in nodes
                for name in node.input
                if node_name(name) not in new
            }
            operations = self._saved.meta_info_def.stripped_op_list
            tf.graph_util.import_graph_def(
                part, present, name="", producer_op_list=operations
            )


def _register_text_ops() -> None:
    """Registers the ops of TF-Text without its layers, which would import Keras."""
    spec = importlib.util.find_spec("tensorflow_text")
    places = [] if spec is None else spec.submodule_search_locations or []
    libraries = [x for p in places for x in Path(p, "python", "ops").glob("_*.so")]
    for library in sorted(libraries):
        tf.load_op_library(str(library))
    if not libraries:
        import tensorflow_text  # noqa: F401  registers the ops, wherever they are


def _tensor(graph: tf.Graph, name: str) -> tf.Tensor:
    """Returns a tensor, "name", "name:1" or "^name", of a graph."""
    position = name.partition(":")[2] or "0"
    return graph.get_tensor_by_name(f"{node_name(name)}:{position}")


def _config() -> tf.compat.v1.ConfigProto:
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    # The second iteration changes little and takes as long as the first.
    rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    # It takes a tenth of the time of the first call, and only helps training.
    rewriting.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    return config
