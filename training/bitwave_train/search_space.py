"""What `bitwave tune` may choose from, and the points that it tries first."""

from __future__ import annotations

from typing import Any

from optuna.trial import Trial

from .options import Options

FILTERS = (0, 8, 16, 24, 32)
STRIDES = (2, 4)
HIDDEN = range(8, 49, 8)
WINDOWS_IN_FLIGHT = range(2, 6)
LONGEST_S = 2.0  # of a window


def window_range(base: Options, window: int, rate_hz: float, shortest: int) -> tuple[int, int]:
    """Shortest and longest window of the search, in samples; that of the base is among them.

    Args:
        base: options to start from.
        window: of the base.
        rate_hz: of the recordings.
        shortest: samples of the shortest recording.
    """
    least = base.settings.conv_kernel if base.settings.conv_filters else 1
    longest = max(12, min(shortest, round(LONGEST_S * rate_hz)), window)
    return max(least, min(max(12, longest // 2), window)), longest


def suggest(trial: Trial, base: Options, windows: tuple[int, int]) -> Options:
    """Options of one candidate.

    Args:
        trial: chooses.
        base: everything that is not searched; its own values are always among the choices.
        windows: shortest and longest, in samples.
    """
    own = base.settings
    filters = trial.suggest_categorical("conv_filters", sorted({*FILTERS, own.conv_filters}))
    window = trial.suggest_int("window", *windows)
    kernel, stride = own.conv_kernel, own.conv_stride
    if filters:
        kernel = trial.suggest_categorical("conv_kernel", sorted({3, 5, 7, own.conv_kernel}))
        stride = trial.suggest_categorical("conv_stride", sorted({*STRIDES, own.conv_stride}))
    hidden = trial.suggest_categorical("hidden", sorted({*HIDDEN, own.hidden[0]}))
    layers = trial.suggest_int("layers", 1, 2)
    changes = own.augmentation
    settings = own.model_copy(
        update={
            "conv_filters": filters,
            "conv_kernel": kernel,
            "conv_stride": stride,
            "hidden": own.hidden if (hidden, layers) == (own.hidden[0], len(own.hidden)) else (hidden,) * layers,
            "pool": trial.suggest_categorical("pool", ["last", "mean", "attention"]),
            "fused": trial.suggest_categorical("fused", [False, True]),
            "dropout": trial.suggest_float("dropout", 0.0, max(0.5, own.dropout)),
            "l2": trial.suggest_float("l2", min(1e-6, own.l2 or 1e-6), max(1e-3, own.l2), log=True),
            "learning_rate": trial.suggest_float(
                "learning_rate", min(1e-3, own.learning_rate), max(2e-2, own.learning_rate), log=True
            ),
            "augmentation": changes.model_copy(
                update={
                    "rotation": trial.suggest_float("rotation", 0.0, max(30.0, changes.rotation)),
                    "amplitude": trial.suggest_float("amplitude", 0.0, max(0.3, changes.amplitude)),
                    "speed": trial.suggest_float("speed", 0.0, max(0.3, changes.speed)),
                    "shift": trial.suggest_float("shift", 0.0, max(0.15, changes.shift)),
                }
            ),
        }
    )
    hop = max(1, round(window / trial.suggest_int("windows_in_flight", WINDOWS_IN_FLIGHT[0], WINDOWS_IN_FLIGHT[-1])))
    return base.model_copy(update={"settings": settings, "window": window, "hop": hop})


def first_points(base: Options, window: int) -> list[dict[str, Any]]:
    """Parameters to try first: the options as they are, then smaller and more sparsely running relatives of them."""
    own = _point(base, window)
    shapes: list[dict[str, Any]] = [
        {"conv_filters": filters, "conv_kernel": kernel, "conv_stride": 4, "hidden": hidden, "pool": pool}
        for filters, kernel, hidden, pool in (
            (16, 7, 16, "mean"),
            (24, 5, 24, "mean"),
            (32, 7, 40, "mean"),
            (16, 5, 24, "attention"),
            (32, 7, 40, "attention"),
        )
    ]
    return [own, *({**own, **shape, "layers": 1, "fused": False} for shape in shapes)]


def _point(base: Options, window: int) -> dict[str, Any]:
    settings = base.settings
    hop = base.hop or max(1, round(window / 5))
    point: dict[str, Any] = {"conv_filters": settings.conv_filters, "window": window}
    if settings.conv_filters:
        point |= {"conv_kernel": settings.conv_kernel, "conv_stride": settings.conv_stride}
    point |= {"hidden": settings.hidden[0], "layers": len(settings.hidden), "l2": max(settings.l2, 1e-6)}
    point |= {name: getattr(settings, name) for name in ("pool", "fused", "dropout", "learning_rate")}
    point |= {name: getattr(settings.augmentation, name) for name in ("rotation", "amplitude", "speed", "shift")}
    lanes = min(max(round(window / hop), WINDOWS_IN_FLIGHT[0]), WINDOWS_IN_FLIGHT[-1])
    return {**point, "windows_in_flight": lanes}
