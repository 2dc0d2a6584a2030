"""The arms by name: the settings that their scripts state."""

from importlib import import_module

from experiments.harness.store import ARMS as NAMES

ARMS = {name: import_module(f"experiments.{name}").SETTINGS for name in NAMES}
