"""A real Home Assistant core with its MQTT integration, in a Python of its own: `CONFIG_DIR BROKER_PORT`.

Prints a line of JSON for every change of state, and on every line read from stdin one with the registry of
entities. Ends with its stdin.
"""

import asyncio
import json
import socket
import sys
from types import MappingProxyType

from homeassistant import bootstrap, config_entries, core, loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.helpers import entity_registry
from homeassistant.setup import async_setup_component


def say(**words):
    print(json.dumps(words), flush=True)


async def main(folder, broker):
    hass = core.HomeAssistant(folder)
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth_manager_from_config(hass, [], [])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    http = {"server_host": ["127.0.0.1"], "server_port": port}
    assert await async_setup_component(hass, "http", {"http": http})
    assert await async_setup_component(hass, "homeassistant", {})

    @core.callback  # or it is called by many threads
    def changed(event):
        old, new = event.data["old_state"], event.data["new_state"]
        say(
            entity=event.data["entity_id"],
            old=old and old.state,
            state=new and new.state,
            unit=new and new.attributes.get("unit_of_measurement"),
            event_type=new and new.attributes.get("event_type"),
        )

    hass.bus.async_listen("state_changed", changed)
    assert await async_setup_component(hass, "mqtt", {})
    if not hass.config_entries.async_entries("mqtt"):
        from homeassistant.components.mqtt.config_flow import FlowHandler

        await hass.config_entries.async_add(
            config_entries.ConfigEntry(
                data={"broker": "127.0.0.1", "port": broker, "protocol": "3.1.1"},
                discovery_keys=MappingProxyType({}),
                domain="mqtt",
                minor_version=FlowHandler.MINOR_VERSION,
                options={},
                source="user",
                subentries_data=[],
                title="broker",
                unique_id=None,
                version=FlowHandler.VERSION,
            )
        )
    await hass.async_start()
    say(ready=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while await reader.readline():
        await hass.async_block_till_done()
        found = entity_registry.async_get(hass).entities.values()
        say(registry={one.entity_id: one.original_name for one in found if one.platform == "mqtt"})
    await hass.async_stop(force=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
