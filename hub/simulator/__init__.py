"""The outside world in one process: Twilio, SendGrid, Resend, Discord, an SMS gateway and a push service.

For development and tests. Each twin speaks its provider's HTTP as the official descriptions have it, refuses
what the real one would, signs and sends its callbacks, and does what a script of faults says. What was taken
is in a ledger. Nothing leaves the machine, and its credentials are no secrets. Knows nothing of the hub.
"""
