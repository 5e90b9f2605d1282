#!/usr/bin/env python3
"""Holds the routes table and real answers against api/openapi.yaml.

check_openapi.py DIR, with in DIR: openapi.yaml (as served), routes.json ([{method, pattern, role, query}]),
answers.json ([{method, pattern, status, content_type, body, request?}]). Prints what doesn't fit; exit code 1 if anything.
"""
import json
import pathlib
import sys

import jsonschema
import yaml

directory = pathlib.Path(sys.argv[1])
description = yaml.safe_load((directory / "openapi.yaml").read_text())
routes = json.loads((directory / "routes.json").read_text())
answers = json.loads((directory / "answers.json").read_text())
faults = []


def resolve(node):
    while isinstance(node, dict) and "$ref" in node:
        target = description
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    return node


def validate(schema, value, where):
    whole = {**schema, "components": description["components"]}
    validator = jsonschema.Draft202012Validator(whole)
    for error in validator.iter_errors(value):
        faults.append(f"{where}: at {list(error.absolute_path)}: {error.message[:300]}")


described = {}
for path, operations in description["paths"].items():
    for method, operation in operations.items():
        if method == "parameters":
            continue
        parameters = [resolve(p) for p in operation.get("parameters", [])]
        described[(method.upper(), path)] = (
            operation.get("x-role"), sorted(p["name"] for p in parameters if p["in"] == "query"))
coded = {(r["method"], r["pattern"]): (r["role"], sorted(r["query"])) for r in routes}
for key in sorted(described.keys() | coded.keys()):
    if described.get(key) != coded.get(key):
        faults.append(f"{key}: described as {described.get(key)}, coded as {coded.get(key)}")

for answer in answers:
    where = f"{answer['method']} {answer['pattern']} -> {answer['status']}"
    operation = description["paths"].get(answer["pattern"], {}).get(answer["method"].lower())
    if operation is None:
        continue  # said above
    responses = operation["responses"]
    response = responses.get(str(answer["status"]))
    if response is None:
        if answer["status"] < 400:
            faults.append(f"{where}: this status is not described")
            continue
        response = responses["default"]
    content = resolve(response).get("content", {})
    kind = answer["content_type"].split(";")[0]
    if kind not in content:
        faults.append(f"{where}: {kind} is not described, only {list(content)}")
        continue
    if kind.endswith("json"):
        validate(content[kind]["schema"], json.loads(answer["body"]), where)
    request = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if "request" in answer and request:
        validate(request["schema"], json.loads(answer["request"]), where + " (its request)")

for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)
