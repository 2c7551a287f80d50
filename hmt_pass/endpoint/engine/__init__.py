"""The OCR engine: a picture in, a permit out. It knows nothing of HTTP.

The pipeline: look (find lines, read those that count), layout (where the card lies), fields, closeup (look once more at
what is doubtful), reading. Layers, upper to lower: reader > look, closeup, portrait > fields > proved, choices, names >
page, anchors > layout, text > detection, recognition, ctc > models; beside them what a card is: card, dates, numbers,
machine_readable, pinyin. The protocol uses `Reader.load`, `Reader.read` and `Reading` alone.
"""

import os

# onnxruntime reports its use to its maker unless it is told not to before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
