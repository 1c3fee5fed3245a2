"""Two or more models on the same held-out prompts: generated in pairs, judged one by one and against each other.

``python -P -m core.compare`` does the work in a process of its own and writes a record, line by line. Screens, command
line and reports fold that file with ``record`` and take their figures from ``summary``; neither needs torch.
"""
