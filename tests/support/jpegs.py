"""JPEG files, without looking into their pictures."""


def commented(data: bytes, comment: str) -> bytes:
    """The same picture in other bytes, by a comment (ITU-T T.81, B.2.4.5): no earlier outcome is that of this file."""
    text = comment.encode()
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]
