"""The image limits of the API text, and the repair of what phones produce: `check` refuses, `prepare` repairs."""

from hmt_pass.image.checking import MAX_BYTES, MAX_PX, MIN_PX_EXCLUSIVE, ImageInfo, check
from hmt_pass.image.repair import MAX_INPUT_BYTES, prepare

__all__ = ["MAX_BYTES", "MAX_INPUT_BYTES", "MAX_PX", "MIN_PX_EXCLUSIVE", "ImageInfo", "check", "prepare"]
