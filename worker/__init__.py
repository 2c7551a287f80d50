"""The worker process: Celery and everything that holds a connection. `celery -A worker worker` starts it."""
