"""The playground: one prompt to the model that training began from and to what it has become, side by side.

``protocol`` is what is said, without torch; ``duet`` samples both; ``host`` is a process of its own that does so from a
run's checkpoints, and ``answers`` lets a live worker do it between two steps.
"""
