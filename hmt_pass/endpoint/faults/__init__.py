"""Faults on demand, for rehearsals and tests: order (what a request asks for), switch (what is set), garbage."""

from hmt_pass.endpoint.faults.switch import Faults, Strike

__all__ = ["Faults", "Strike"]
