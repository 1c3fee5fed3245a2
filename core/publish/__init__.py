"""Trained weights for others: an export with a model card beside the weights, ready to be pushed to a hub.

``python -P -m core.publish RUN_DIR (--adapter DIR | --merged DIR)`` is what ``rlaif-tui export`` starts. The card is
made from the run's configuration, events and comparisons. It says nothing that is private to the machine: of local
paths it has the last part only.
"""
