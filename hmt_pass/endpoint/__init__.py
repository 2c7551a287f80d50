"""The self-hosted endpoint: the API of the paid service with an OCR engine of our own (extra `endpoint`).

The protocol lies here: server > app (routes) > call (from parameters to answer) > parameters, accounts, images,
download, answers. `engine` reads the picture, `specimen` draws pictures to read.
"""
