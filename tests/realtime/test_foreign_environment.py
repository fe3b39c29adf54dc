"""What a platform puts into the environment under our prefix passes; typing mistakes do not."""

from __future__ import annotations

import pytest
from avel_live.realtime.config.load import load_config
from avel_live.realtime.core.errors import UsageError

KUBERNETES = {
    "AVEL_SERVICE_HOST": "10.96.0.12",
    "AVEL_SERVICE_PORT": "9000",
    "AVEL_SERVICE_PORT_METRICS": "9000",
    "AVEL_PORT": "tcp://10.96.0.12:9000",
    "AVEL_PORT_9000_TCP": "tcp://10.96.0.12:9000",
    "AVEL_PORT_9000_TCP_PROTO": "tcp",
    "AVEL_PORT_9000_TCP_PORT": "9000",
    "AVEL_PORT_9000_TCP_ADDR": "10.96.0.12",
    "AVEL_LIVE_SERVICE_HOST": "fd00::7",
    "AVEL_LIVE_SERVICE_PORT_HTTP": "80",
    "AVEL_LIVE_PORT": "udp://[fd00::7]:80",
    "AVEL_LIVE_PORT_80_UDP_ADDR": "fd00::7",
    "AVEL_MQTT_SERVICE_HOST": "10.96.0.13",
    "AVEL_MQTT_PORT": "tcp://10.96.0.13:1883",
}
DOCKER_LINK = {
    "AVEL_PORT": "tcp://172.17.0.2:1883",
    "AVEL_PORT_1883_TCP": "tcp://172.17.0.2:1883",
    "AVEL_PORT_1883_TCP_ADDR": "172.17.0.2",
    "AVEL_PORT_1883_TCP_PORT": "1883",
    "AVEL_PORT_1883_TCP_PROTO": "tcp",
    "AVEL_NAME": "/watcher/avel",
    "AVEL_ENV_TZ": "UTC",
}


@pytest.mark.parametrize("name", KUBERNETES)
def test_every_variable_of_kubernetes_passes_alone(name: str) -> None:
    assert load_config({}, environ={name: KUBERNETES[name]}).config == load_config({}, environ={}).config


def test_all_of_them_pass_beside_ours() -> None:
    for others in (KUBERNETES, DOCKER_LINK):
        config = load_config({}, environ={**others, "AVEL_HOP_S": "2"}).config
        assert config.hop_s == 2
        assert config.name is None


def test_a_name_is_a_name_where_no_link_is() -> None:
    assert load_config({}, environ={"AVEL_NAME": "/watcher/avel"}).config.name == "/watcher/avel"
    assert load_config({}, environ={"AVEL_NAME": "door", **KUBERNETES}).config.name == "door"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AVEL_SERVICE_HOST", "somewhere"),
        ("AVEL_SERVICE_PORT", "tcp"),
        ("AVEL_SERVICE_PORT", "99999"),
        ("AVEL_PORT", "9000"),
        ("AVEL_PORT", "http://10.0.0.1:80"),
        ("AVEL_PORT", "tcp://10.0.0.1"),
        ("AVEL_PORT_9000_TCP_PROTO", "http"),
        ("AVEL_ENV_TZ", "UTC"),
        ("AVEL_MQTT_URL", "mqtt://hub"),
        ("AVEL_SERVICE", "10.0.0.1"),
    ],
)
def test_the_name_alone_is_not_enough(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        load_config({}, environ={name: value})
