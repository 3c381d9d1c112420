"""Against a module with pynvml's functions, errors and units, and against the real one where there is no driver."""

import sys
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from framegate.adapters.cuda_driver import cuda_trouble
from framegate.adapters.nvml import Nvml
from framegate.observability.background import Unreadable


class FakeNvml:
    """Of pynvml it has the real errors and constants. `cards`: what each answers; an error is raised."""

    def __init__(self, *cards: dict[str, Any]) -> None:
        self.cards, self.opened, self.broken = cards, 0, False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvmlDeviceGet"):
            return lambda handle, *_: self._answer(handle, name.removeprefix("nvmlDeviceGet"))
        return getattr(pynvml, name)

    def nvmlInit(self) -> None:  # noqa: N802 (the vendor's name)
        self.opened += 1
        if self.broken:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        if self.broken:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:  # noqa: N802
        if self.cards[index].get("lost"):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> dict[str, Any]:  # noqa: N802
        for card in self.cards:
            if card.get("partition") == uuid:
                return {"of": card}
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, partition: dict[str, Any]) -> Any:  # noqa: N802
        return partition["of"]

    def nvmlDeviceGetIndex(self, card: dict[str, Any]) -> int:  # noqa: N802
        return self.cards.index(card)

    def _answer(self, card: dict[str, Any], what: str) -> Any:
        if what not in card:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return card[what]


def card(**changes: Any) -> dict[str, Any]:
    whole = {
        "UtilizationRates": SimpleNamespace(gpu=83, memory=40),
        "MemoryInfo": SimpleNamespace(total=24 << 30, used=5 << 30, free=19 << 30),
        "PowerUsage": 71_250,
        "EnforcedPowerLimit": 72_000,
        "Temperature": 66,
        "CurrentClocksThrottleReasons": pynvml.nvmlClocksThrottleReasonSwPowerCap,
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def read(library: FakeNvml, nvml: Nvml | None = None) -> dict[tuple[str, ...], float]:
    """By name without its beginning, and labels."""
    readings = (nvml or Nvml(lambda: library))()
    return {(r.metric.name.removeprefix("framegate_gpu_"), *r.labels.values()): r.value for r in readings}


def test_every_card_is_read_in_base_units() -> None:
    found = read(FakeNvml(card(), card(Temperature=41)))
    assert {name: value for name, value in found.items() if name[1] == "0"} == {
        ("utilization_ratio", "0"): 0.83,
        ("memory_used_bytes", "0"): 5 << 30,
        ("memory_total_bytes", "0"): 24 << 30,
        ("power_watts", "0"): 71.25,
        ("power_limit_watts", "0"): 72,
        ("temperature_celsius", "0"): 66,
        ("throttled", "0", "power"): 1,
        ("throttled", "0", "heat"): 0,
        ("throttled", "0", "hardware"): 0,
    }
    assert found["temperature_celsius", "1"] == 41


def test_what_a_card_does_not_support_is_absent_and_the_rest_is_not() -> None:
    found = read(FakeNvml(card(PowerUsage=None, EnforcedPowerLimit=None, UtilizationRates=None)))
    assert {name for name, *_ in found} == {
        "memory_used_bytes",
        "memory_total_bytes",
        "temperature_celsius",
        "throttled",
    }


def test_a_lost_card_is_absent_and_the_others_keep_their_numbers() -> None:
    assert {name[1] for name in read(FakeNvml(card(lost=True), card()))} == {"1"}


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, "0123"),
        ("", ""),
        ("-1", ""),
        ("2", "2"),
        ("3, 0", "03"),
        ("1,4,2", "1"),  # what is not there ends the list
        ("GPU-cc", "2"),
        ("GPU-aa01,1", "01"),
        ("GPU-aa", ""),  # of two
        ("GPU-dd", ""),  # lost: nobody knows its UUID
        ("MIG-7,0", "02"),
        ("MIG-8,0", ""),
        ("all", ""),
    ],
)
def test_only_the_cards_that_cuda_may_use_are_read_and_they_keep_their_numbers(
    visible: str | None, indices: str
) -> None:
    library = FakeNvml(
        card(UUID="GPU-aa01"), card(UUID="GPU-aa02"), card(UUID="GPU-cc", partition="MIG-7"), card(UUID=None)
    )
    found = read(library, Nvml(lambda: library, visible))
    assert {name[1] for name in found} == set(indices)


@pytest.mark.parametrize(
    ("reasons", "causes"),
    [
        (pynvml.nvmlClocksThrottleReasonGpuIdle | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting, set()),
        (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, {"power"}),
        (pynvml.nvmlClocksThrottleReasonSwThermalSlowdown, {"heat"}),
        (
            pynvml.nvmlClocksThrottleReasonHwSlowdown | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
            {"hardware", "heat"},
        ),
    ],
)
def test_lowered_clocks_have_causes(reasons: int, causes: set[str]) -> None:
    found = read(FakeNvml(card(CurrentClocksThrottleReasons=reasons)))
    assert {name[2] for name, value in found.items() if name[0] == "throttled" and value} == causes


def test_a_driver_that_comes_back_is_opened_anew() -> None:
    library = FakeNvml(card())
    nvml = Nvml(lambda: library)
    assert read(library, nvml)
    library.broken = True
    for _ in range(2):
        with pytest.raises(pynvml.NVMLError):
            nvml()
    library.broken = False
    assert read(library, nvml)
    assert library.opened == 3


@pytest.mark.skipif(not cuda_trouble().startswith("no CUDA: there is no NVIDIA driver"), reason="there is a driver")
def test_without_a_driver_it_says_so_once_and_for_all() -> None:
    with pytest.raises(Unreadable, match="no NVIDIA driver"):
        Nvml()()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(Unreadable, match=r"pip install 'framegate\[gpu\]'"):
        Nvml()()
