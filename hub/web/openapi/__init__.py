"""What the hub says about itself: `/openapi.json` and `/asyncapi.json`, made from the tables that serve.

Routes, forms, refusals, event types and settings are read where they are used; what only words can say is
data here, one entry for each route and each message. A route without an entry fails a test.
"""
