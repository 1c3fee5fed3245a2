"""What a judge is worth before it is paid for: test scoring, agreement with people, canaries, comparison, forecast.

A library without torch and without a screen: every function works on the ``Judge`` protocol, reports each result as it
arrives and can be cancelled; every report is frozen and has ``to_json``. numpy, scipy, scikit-learn and pandas are
imported when first used.
"""
