"""Celery: thin tasks that each make one service call."""
