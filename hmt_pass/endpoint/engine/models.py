"""The OCR models: PP-OCR of PaddlePaddle (Apache-2.0) as ONNX files inside the rapidocr wheel.

The wheel is only their carrier. It is never imported: its import takes over a second and drags a pipeline along.
"""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # the wheel ships no types

from hmt_pass.endpoint.engine.geometry import Floats
from hmt_pass.errors import SettingsError

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNIZER = "PP-OCRv6_rec_small.onnx"
ORIENTATION = "ch_ppocr_mobile_v2.0_cls_mobile.onnx"

SHA256 = {
    DETECTOR: "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    RECOGNIZER: "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
    ORIENTATION: "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
}

_CARRIER = "rapidocr"


def folder() -> Path:
    """Where the carrier's models lie. Raises SettingsError when it is not installed."""
    found = importlib.util.find_spec(_CARRIER)
    if found is None or not found.submodule_search_locations:
        raise SettingsError("the OCR models are not installed: install hmt-pass with its extra `endpoint`")
    return Path(found.submodule_search_locations[0]) / "models"


class Model:
    """A network with one input and one output. Safe to run from many threads; a run uses one."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def run(self, values: Floats) -> Floats:
        """The network's output for an input in the shape that it was trained with."""
        (output,) = self._session.run(None, {self._input: values})
        return np.asarray(output, np.float32)

    def metadata(self, name: str) -> str:
        """A text that the file carries beside the network."""
        return str(self._session.get_modelmeta().custom_metadata_map[name])


def load(name: str, models: Path) -> Model:
    """One of the models in SHA256.

    Raises SettingsError when the file is missing or is not the one that this engine was measured with.
    """
    path = models / name
    try:
        model = path.read_bytes()
    except OSError:
        raise SettingsError(f"{name} is missing from {_CARRIER}: install the version that pyproject pins") from None
    if hashlib.sha256(model).hexdigest() != SHA256[name]:
        raise SettingsError(f"{name} is not the expected model: install the version of {_CARRIER} that pyproject pins")
    return Model(onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"]))


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without the arena memory stays flat although every picture has its own shape: -260 MB for +2 % time (measured).
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
