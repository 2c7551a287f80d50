"""The laptop: Redis, S3, endpoint, worker and Flower started in order, used, and stopped in order."""
