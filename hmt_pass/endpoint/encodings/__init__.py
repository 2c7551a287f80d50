"""How parameters travel: urlencoded, multipart, and a picture as base64 text."""
