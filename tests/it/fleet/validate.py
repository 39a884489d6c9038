"""Validates the manifests in the directory argv[1] and the rendered chart against Kubernetes' schemas.

Needs the packages helm-python-sdk and kubernetes-validate. Prints one line for each object, and one for each problem.
"""
import pathlib
import sys

import kubernetes_validate
import yaml
from helm_python.chart import Chart, lint

VERSION = "1.33"
deploy = pathlib.Path(sys.argv[1])
chart = deploy / "helm" / "imgarch"


def texts():
    for values in [{}, {"registry": {"enabled": True}}]:
        for name, text in Chart.load(chart).render(values=values).items():
            yield name, text
    for path in sorted(deploy.glob("fleet/*.yaml")) + sorted(deploy.glob("admission/*.yaml")):
        yield path.name, path.read_text()


for name, text in texts():
    for document in filter(None, yaml.safe_load_all(text)):
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
            print("valid", name, document["kind"])
        except kubernetes_validate.SchemaNotFoundError:
            print("unknown", name, document["kind"])
        except kubernetes_validate.ValidationError as error:
            print("problem", name, document["kind"], error)
for message in lint(chart)["messages"]:
    if message["severity"] > 1:
        print("problem", message)
