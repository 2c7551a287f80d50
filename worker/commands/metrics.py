"""`metrics`: the fleet's figures, once or for Prometheus."""

import threading

import click
from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry

from worker import observe
from worker.commands.output import echo, show, with_json
from worker.health import unanswered
from worker.metrics import fleet, server
from worker.services import services


@click.command()
@click.option("--serve", "port", type=click.IntRange(1, 65535), help="Answer /metrics and /healthz on this port.")
@with_json
def metrics(*, port: int | None, as_json: bool) -> None:
    """Print the figures of the whole fleet, in Prometheus' text format."""
    observe.configure(services().settings.log_format)  # to stderr: stdout is for the figures
    registry = fleet.registry(services())
    if port:
        _serve(registry, port)
    elif as_json:
        show(_document(registry), as_json=True, lines=[])
    else:
        echo(generate_latest(registry), nl=False)


def _serve(registry: CollectorRegistry, port: int) -> None:
    host = services().settings.metrics_host
    try:
        server.start(server.app(registry, _report), host, [port])
    except OSError as error:
        raise click.ClickException(f"{host}:{port}: {error.strerror}") from None
    echo(f"http://{host}:{port}/metrics")
    threading.Event().wait()


def _report() -> tuple[bool, dict[str, object]]:
    problems = unanswered(services().hold.info, services())
    return not problems, {"problems": problems}


def _document(registry: CollectorRegistry) -> list[dict[str, object]]:
    return [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for family in registry.collect()
        for sample in family.samples
    ]
