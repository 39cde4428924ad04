"""One send in; a `Receipt`, a `Temporary` or a `Permanent` out. Knows no retries and no preferences."""
