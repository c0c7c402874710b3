"""Messages of protobuf, for clients that have no classes for them."""


def field(number, value):
    """A field of protobuf with bytes."""
    assert len(value) < 1 << 14
    length = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + length + value


def command(name, body):
    """A command of Flight SQL with its fields, as a descriptor or a ticket has it."""
    url = f"type.googleapis.com/arrow.flight.protocol.sql.{name}".encode()
    return field(1, url) + field(2, body)


def values(message, *path):
    """What a field of a message has, which is below the fields of `path` but the last."""
    number, *rest = path
    at, found = 0, []
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            value, at = varint(message, at)
        else:
            length, at = {1: (8, at), 5: (4, at)}.get(key & 7) or varint(message, at)
            value, at = message[at:at + length], at + length
        if key >> 3 == number:
            found += values(value, *rest) if rest else [value]
    return found


def varint(message, at):
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 128:
            return value, at
