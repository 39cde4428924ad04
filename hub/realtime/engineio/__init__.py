"""An Engine.IO v4 server for aiohttp that python-socketio runs on, instead of python-engineio.

It follows the protocol at github.com/socketio/engine.io-protocol: polling, WebSocket, the upgrade between
them, heartbeats. It promises that nothing a client sends or does not send leaves a session behind, that
every queue is bounded, and that no packet is lost, doubled or overtaken by an upgrade. It does not know
Socket.IO.

## Names that their packages do not document

The whole of `hub.realtime` relies on these and on no others; tests/unit/test_private_names.py fails first
when an update moves one.

python-socketio, `AsyncServer` (hub/realtime/server.py):
    overridden  _engineio_server_class _handle_eio_connect _handle_eio_message _handle_eio_disconnect
                _handle_connect _handle_disconnect
    called      _handle_event _handle_ack _send_packet _trigger_event
    read        _binary_packet environ handlers namespace_handlers namespaces packet_class
python-socketio, `AsyncRedisManager` and its bases (hub/realtime/manager.py):
    overridden  every method that its server calls and that touches its tables of rooms and clients (the
                test names them all); the tables themselves stay empty
python-socketio, `socketio.packet` (hub/realtime/strict.py):
    Packet: decode, add_attachment, data_is_binary, json; the constants of its types
aiohttp, `RequestHandler` and `StreamResponse` (hub/realtime/takeover.py):
    transport is taken away, connection_lost called; prepare and write_eof are overridden
websockets, `Protocol` (hub/realtime/wsframes.py):
    parser_exc; the rest is its documented sans-I/O interface
"""
