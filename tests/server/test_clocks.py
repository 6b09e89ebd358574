"""SyncClock: a simulated meter's clock is read, set and read back, called by an OPC UA client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from asyncua.crypto.permission_rules import UserRole
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.simulators import Fleet, Silent
from server.app import Hub
from server.errors import CommandNotDone
from server.opcua import CallContext, HubUser
from server.opcua.access import Right

PATIENCE_S = 240.0
SOMEBODY = CallContext(HubUser(role=UserRole.User, name="operator"))
PROFILE = """
profile: bench/clocked
vendor: Bench
model: Meter with a clock
protocol: modbus
source: [{document: made for tests}]
modbus:
  fc: 3
  clock: {at: 0x0100, format: [year, month day, hour minute, second], tolerance_s: 3}
points:
  VoltageL1: {at: 0, type: uint16, unit: V, scale: 0.1, class: fast}
commands:
  set_clock:
    min_interval_s: 60
    steps:
      - read_back: {clock: any}
      - write: {at: 0x0200, fc: 6, values: [0xAA55]}
      - write: {clock: time}
      - read_back: {clock: time}
      - {write: {at: 0x0200, fc: 6, values: [0]}, always: true}
"""


def anybody(*_: Any, **__: Any) -> HubUser:
    """Whoever comes is an operator."""
    return HubUser(role=UserRole.User, name="operator", rights=frozenset({Right.LOOK, Right.CONTROL}))


@asynccontextmanager
async def serving(site: Any) -> AsyncIterator[tuple[Hub, Fleet]]:
    """A hub in whose plant m1 has a clock and m2 has none, both read once."""
    folder = site.folder / "profiles" / "bench"
    folder.mkdir(parents=True)
    (folder / "clocked.yaml").write_text(PROFILE)
    site.write({"a": ["m1", "m2"]}, options="timeout_ms: 1000", plant="time_zone: Asia/Tashkent")
    plant = site.folder / "plant.yaml"
    plant.write_text(plant.read_text().replace("profile: eastron/sdm630", "profile: bench/clocked", 1))
    hub = Hub(site.draw())
    hub.opcua.policy.get_user = anybody  # type: ignore[method-assign]
    stop, ready = asyncio.Event(), asyncio.Event()
    async with site.fleet() as fleet:
        running = asyncio.create_task(hub.run(stop, ready.set), name="hub")
        try:
            await until(lambda: hub.engine.online_share() == (2, 2))
            yield hub, fleet
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await running


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds, which other tasks bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


def identity(folder: Path) -> tuple[Path, Path]:
    key = generate_private_key()
    names = [x509.UniformResourceIdentifier("urn:example.org:FreeOpcUa:opcua-asyncio")]
    certificate = generate_self_signed_app_certificate(key, "c", {}, names, [ExtendedKeyUsageOID.CLIENT_AUTH])
    (folder / "cert.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    return folder / "cert.der", folder / "key.pem"


async def test_a_client_sets_a_meters_clock_and_learns_how_far_it_was_off(site, tmp_path: Path) -> None:
    async with serving(site) as (hub, fleet):
        meter = fleet.meters["m1"]
        meter.clock_off_s = -90.0
        client = Client(hub.opcua.endpoint_urls[0], timeout=60)
        await client.set_security(SecurityPolicyBasic256Sha256, *identity(tmp_path))
        async with client:
            shown = [
                await client.get_node(f"ns=2;s={unit}.SyncClock").read_attribute(ua.AttributeIds.Executable)
                for unit in ("m1", "m2")
            ]
            assert [value.Value.Value for value in shown] == [True, False]
            drift_ms = await client.get_node("ns=2;s=m1").call_method(ua.NodeId("m1.SyncClock", 2), "winter time")
            assert drift_ms == pytest.approx(-90_000, abs=2_500)
            assert meter.clock_off_s == pytest.approx(0, abs=2.0)
            assert meter.written(0x0200) == 0
            with pytest.raises(ua.UaStatusCodeError) as caught:
                await client.get_node("ns=2;s=m2").call_method(ua.NodeId("m2.SyncClock", 2), "")
            assert caught.value.code == ua.StatusCodes.BadNotExecutable


async def test_a_clock_is_not_set_more_often_than_its_memory_bears(site) -> None:
    async with serving(site) as (hub, _):
        await hub.clocks.sync("m1", SOMEBODY, "")
        with pytest.raises(CommandNotDone, match="wears out"):
            await hub.clocks.sync("m1", SOMEBODY, "")


async def test_a_silent_meter_leaves_no_claim_that_its_clock_was_set(site) -> None:
    async with serving(site) as (hub, fleet):
        fleet.meters["m1"].fault = Silent()
        with pytest.raises(CommandNotDone, match="not set"):
            await hub.clocks.sync("m1", SOMEBODY, "")


@pytest.mark.parametrize("uid", ["f1", "nothing"])
def test_what_is_no_metering_unit_has_no_clock(site, uid: str) -> None:
    site.write({"a": ["m1"]})
    assert not Hub(site.draw()).clocks.settable(uid)
