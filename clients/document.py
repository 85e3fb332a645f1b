"""Reads the OpenAPI document of a server and mends what generators stumble over.

    python3 document.py ADDRESS FILE

Needs nothing but Python. Each mend looks for its fault and says so; a document without it is left as it is.
"""

import json
import sys
import urllib.request
from collections import Counter

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
BINARY = {"type": "string", "format": "binary"}


def operations(document):
    for methods in document["paths"].values():
        yield from (operation for method, operation in methods.items() if method in METHODS)


def names(document):
    """Operations of two groups share a name (`find` of items and of users): the group is added."""
    count = Counter(operation["operationId"] for operation in operations(document))
    for operation in operations(document):
        if count[operation["operationId"]] > 1:
            yield f"operationId {operation['operationId']} of {operation['tags'][0]}"
            operation["operationId"] += "_" + operation["tags"][0]


def contents(document):
    """Pictures are lists of numbers there, and lines of JSON one object: both are bytes as far as a client goes."""
    for operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for kind, content in (pair for body in bodies for pair in body.get("content", {}).items()):
            if (kind.startswith("image/") or kind == "application/x-ndjson") and content["schema"] != BINARY:
                yield f"{kind} of {operation['operationId']}"
                content["schema"] = dict(BINARY)


def schemas(node, at="#"):
    """What cannot be read, or means something else, wherever it is."""
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from schemas(value, f"{at}/{number}")
        return
    if not isinstance(node, dict):
        return
    if "prefixItems" in node and node.get("items") is False:
        yield f"{at}: no more items than the first"
        del node["items"]
    parts = node.get("allOf", [])
    if len(parts) == 2 and "enum" in parts[0] and parts[1].get("type") == "object" and "properties" not in parts[1]:
        yield f"{at}: a text that is an object too"
        del node["allOf"]
        node.update(parts[0], **{key: value for key, value in parts[1].items() if key != "type"})
    kinds = node.get("type", [])
    if "object" in ([kinds] if isinstance(kinds, str) else kinds) and not {"properties", "additionalProperties"} & node.keys():
        yield f"{at}: an object of anything"
        node["additionalProperties"] = True
    for key, value in list(node.items()):
        if key not in {"default", "example", "examples", "enum"}:
            yield from schemas(value, f"{at}/{key}")


def main(address, file):
    with urllib.request.urlopen(f"{address.rstrip('/')}/openapi.json", timeout=30) as answer:
        document = json.load(answer)
    mended = [*names(document), *contents(document), *schemas(document)]
    for what in mended:
        print(f"mended: {what}", file=sys.stderr)
    with open(file, "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
