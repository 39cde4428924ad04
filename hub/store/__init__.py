"""SQL: the truth. Keeps promises (contiguous offsets, one commit, fences) and decides nothing."""
