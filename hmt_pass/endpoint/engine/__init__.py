"""The OCR engine: a picture in, a permit out. It knows nothing of HTTP.

Layers, upper to lower: reader > fields > page, names > text > detection, recognition > models; beside them what a card
is: card, dates, machine_readable, pinyin. The protocol uses `Reader.load`, `Reader.read` and `Reading` alone.
"""
