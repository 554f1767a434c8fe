"""The commands of ``run.py``: their arguments, the work of the short ones, and the process that runs them."""
