"""Registers the model with transformers' Auto classes, as soon as those are there and no sooner.

Importing transformers' Auto classes takes seconds, which `glove-bilstm --help` shouldn't cost. So where they aren't
loaded yet, their loading is watched for.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def _register_config() -> None:
    from transformers import AutoConfig

    from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig

    AutoConfig.register(GloveBiLSTMConfig.model_type, GloveBiLSTMConfig, exist_ok=True)


def _register_models() -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
    from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification, GloveBiLSTMModel

    AutoModel.register(GloveBiLSTMConfig, GloveBiLSTMModel, exist_ok=True)
    AutoModelForSequenceClassification.register(GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification, exist_ok=True)


_REGISTRATIONS: dict[str, Callable[[], None]] = {
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_models,
}


class _AutoClassWatcher(MetaPathFinder):
    """Finds the modules of the Auto classes as they would be found anyway, and registers after each has run."""

    def __init__(self) -> None:
        self.waiting = dict(_REGISTRATIONS)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        register = self.waiting.pop(fullname, None)
        if register is None:
            return None
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_when_needed() -> None:
    """Register with the Auto classes that are loaded, and watch for the others."""
    watcher = _AutoClassWatcher()
    for module, register in _REGISTRATIONS.items():
        if module in sys.modules:
            del watcher.waiting[module]
            register()
    if watcher.waiting:
        sys.meta_path.insert(0, watcher)
