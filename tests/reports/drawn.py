"""What a PDF of ours says."""

import re
import zlib
from base64 import a85decode


def drawn(content: bytes) -> str:
    """Its texts, one a line: UCS-2 in strings of its streams."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        try:
            plain = zlib.decompress(a85decode(stream.strip().removesuffix(b"~>")))
        except (ValueError, zlib.error):
            continue
        for told in re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", plain, re.DOTALL):
            text = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), told)
            found.append(re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL).decode("utf-16-be", "replace"))
    return "\n".join(found)
