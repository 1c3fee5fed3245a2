"""The screens: functions of a ``RunState`` that post messages and touch no file."""
