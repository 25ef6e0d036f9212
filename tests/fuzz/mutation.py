"""Changed inputs without knowledge of coverage: the same ones for the same seed, on every machine."""

import random
from collections.abc import Iterator

from fuzz.targets import Target

LONGEST = 4096


def mutated(target: Target, count: int, *, seed: int) -> Iterator[bytes]:
    """So many inputs: the seeds as they are, then changed ones. What has been made is changed further."""
    chance = random.Random(seed)
    pool = list(target.seeds)
    yield from pool
    for _ in range(count - len(pool)):
        data = bytearray(chance.choice(pool))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            _change(data, target, chance)
        made = bytes(data[:LONGEST])
        if chance.random() < 0.05:
            pool.append(made)
        yield made


def _change(data: bytearray, target: Target, chance: random.Random) -> None:
    at, until = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
    match chance.randrange(6):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.choice((0, 1, 0x20, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        case 2:
            del data[at:until]
        case 3:
            data[at:at] = data[at:until] * chance.choice((1, 2, 20))
        case 4:
            other = chance.choice(target.seeds)
            begin = chance.randint(0, len(other))
            data[at:until] = other[begin : begin + chance.randint(0, 40)]
        case _:
            data[at:at] = chance.choice((*target.words, bytes(chance.randbytes(chance.randint(1, 8)))))
