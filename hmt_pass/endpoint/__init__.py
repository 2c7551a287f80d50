"""The self-hosted endpoint: the API of the paid service with an OCR engine of our own (extra `endpoint`).

Layers, upper to lower: app (routes) > call (one call from parameters to answer) > parameters, accounts, images,
download, faults (protocol) | reader > fields > text (engine). The protocol knows the engine as `Reader.read` alone.
"""
