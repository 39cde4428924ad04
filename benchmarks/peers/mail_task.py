"""A peer of the delivery pipeline: mails by plain Celery, as its documentation has it.

One task for each mail on the hub's kind of broker, with late acknowledgement, the stock pool of threads, and
smtplib. Nothing is stored: no claim, no states, no template. `celery -A benchmarks.peers.mail_task worker`.
"""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage

from celery import Celery

app = Celery("peer", broker=os.environ.get("PEER_BROKER"))
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)


@app.task(name="mail")
def mail(recipient: str) -> None:
    message = EmailMessage()
    message["From"] = "bench@example.org"
    message["To"] = recipient
    message["Subject"] = "Your Booking is Confirmed!"
    message.set_content("Your booking is confirmed.")
    with smtplib.SMTP("127.0.0.1", int(os.environ["PEER_PORT"]), timeout=15) as server:
        server.send_message(message)
