"""The verbs. They know no HTTP, no Socket.IO and no Celery."""
