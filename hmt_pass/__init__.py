"""Read mainland travel permits (往来港澳通行证, 往来台湾通行证) from photos in S3 through a paid OCR API.

A web app needs `hmt_pass.producer`; the rest is the vocabulary that producer, worker and endpoint share.
"""

__version__ = "0.1.0"
