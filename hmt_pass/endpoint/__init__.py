"""The self-hosted endpoint: the API of the paid service with an OCR engine of our own (extra `endpoint`).

A call goes through server > connections > app (routes) > body > parameters (encodings) > call (from parameters to
answer) > accounts > images, download > admission > engine > answers. `conventions` holds what the API text leaves open,
`limits` what callers may take; `faults` breaks it all on demand; `specimen` draws pictures to read.
"""
