"""What Prometheus reads: the fleet's figures, which one exporter serves, and each worker's own.

Every name starts with `hmt_pass_`, a worker's own with `hmt_pass_worker_`; docs/operations.md lists them.
"""
