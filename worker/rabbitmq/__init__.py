"""The worker's broker when BROKER_URL names a RabbitMQ: queues, delays, dead letters, and options for celery."""
