"""The whole system on virtual time in one process, under every disaster a seed can think of, judged by naive rules."""
