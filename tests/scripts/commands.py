"""The script of each command."""

from experiments import (
    baseline,
    benchmark,
    compare,
    control,
    dropout_modes,
    engine_check,
    figures,
    hidden,
    predict,
    remedies,
    report,
    tips,
    tune,
    verify,
    visible,
)

SCRIPTS = {
    "baseline": baseline,
    "visible": visible,
    "hidden": hidden,
    "control": control,
    "remedies": remedies,
    "tips": tips,
    "evaluation": dropout_modes,
    "tune": tune,
    "compare": compare,
    "validate": engine_check,
    "benchmark": benchmark,
    "predict": predict,
    "figures": figures,
    "report": report,
    "verify": verify,
}
READERS = list(SCRIPTS)[:11]  # the commands that read a dataset
