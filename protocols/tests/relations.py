"""Puts dumped shares of correlated randomness together and recomputes every relation, without any code of the library.

    mkdir shares
    SUBROSA_SHARES=$PWD/shares cargo test --release -p protocols --lib -- --ignored dumped_for_others
    python3 protocols/tests/relations.py shares

The shares are those of 2, 3 and 5 parties that made them by oblivious transfer. Needs Python 3.9 and nothing else.
"""

import glob
import json
import math
import os
import sys

RING = 1 << 64


def signed(v):
    return v - RING if v >> 63 else v


def opened(shares):
    """The value of one component from all parties' shares of it."""
    if "bits" in shares[0]:
        lanes = []
        for parts in zip(*(s["bits"] for s in shares)):
            lanes.append([sum(map(int, bits)) & 1 for bits in zip(*parts)])
        return lanes
    modulus = 1 << shares[0]["low"]
    return [sum(v) % modulus for v in zip(*(s["ring"] for s in shares))]


def product(a, b, m, k, n):
    return [sum(a[i * k + t] * b[t * n + j] for t in range(k)) % RING for i in range(m) for j in range(n)]


def matrices(item, a, b, c, what):
    m, k, n = item["m"], item["k"], item["n"]
    for i in range(item["count"]):
        want = product(a[i * m * k:][:m * k], b[i * k * n:][:k * n], m, k, n)
        same(c[i * m * n:][:m * n], want, what)


def convolution(item, a, b):
    images, channels, height, width = item["input"]
    out_channels, per_group, kernel_h, kernel_w = item["kernel"]
    _, _, out_h, out_w = item["output"]
    stride, dilation, padding = item["stride"], item["dilation"], item["padding"]
    of_group = out_channels // item["groups"]
    out = []
    for image in range(images):
        for o in range(out_channels):
            first = o // of_group * per_group
            for y in range(out_h):
                for x in range(out_w):
                    total = 0
                    for c in range(per_group):
                        for ky in range(kernel_h):
                            for kx in range(kernel_w):
                                row = y * stride[0] + ky * dilation[0] - padding[0][0]
                                column = x * stride[1] + kx * dilation[1] - padding[1][0]
                                if 0 <= row < height and 0 <= column < width:
                                    pixel = a[((image * channels + first + c) * height + row) * width + column]
                                    total += pixel * b[((o * per_group + c) * kernel_h + ky) * kernel_w + kx]
                    out.append(total % RING)
    return out


def part(numbers, mask):
    """Elements of a mask: the first one, then axes with a length and a step from index to index."""
    start, rank = numbers[:2]
    places = [start]
    for axis in range(rank):
        length, step = numbers[2 + 2 * axis:4 + 2 * axis]
        places = [place + i * step for place in places for i in range(length)]
    return [mask[place] for place in places]


def all_of(lanes, wires):
    return [int(all(column)) for column in zip(*(lanes[w] for w in wires))]


def same(got, want, what, low=64):
    if [v % (1 << low) for v in got] != [v % (1 << low) for v in want]:
        raise SystemExit(f"{what}: the relation does not hold")


def quotient(r, bits):
    return [(signed(v) >> bits) % RING for v in r], [v >> 63 for v in r]


def comparison(item, values, what):
    values, length = iter(values), item["len"]
    r, r_bits, in_blocks, masks, of_masks = (next(values) for _ in range(5))
    for lane in range(64):
        if r_bits[lane] != [v >> lane & 1 for v in r]:
            raise SystemExit(f"{what}: bit {lane} of r is another")
    place, start = iter(in_blocks), 0
    for width in item["blocks"]:
        for chosen in range(1, 1 << width):
            wires = [start + i for i in range(width) if chosen >> i & 1]
            if len(wires) >= 2 and next(place) != all_of(r_bits, wires):
                raise SystemExit(f"{what}: the product of bits {wires} is another")
        start += width
    place, first = iter(of_masks), 0
    for _ in range(item["thresholds"]):
        for wires, sets in item["layers"]:
            for chosen in sets:
                if next(place) != all_of(masks, [first + w for w in chosen]):
                    raise SystemExit(f"{what}: the product of masks {chosen} is another")
            first += wires
    if not item["arithmetic"]:
        return
    lanes = next(values)
    b = [bit for lane in lanes for bit in lane]
    if item["question"] == "quotient":
        same(next(values), [v >> item["bits"] for v in r], what)
        same(next(values), lanes[0], what)
        same(next(values), lanes[1], what, item["bits"])
    else:
        same(next(values), b, what)
    times = lambda row: [b[i] * row[i % length] % RING for i in range(item["thresholds"] * length)]
    if item["product"]:
        same(next(values), times(r), what)
    if item["truncation"]:
        f = item["truncation"]
        w, e = quotient(r, f)
        same(next(values), w, what)
        same(next(values), e, what, f)
        same(next(values), times(w), what)
        same(next(values), times(e), what, f)
    if item["payloads"]:
        a = next(values)
        same(next(values), [v * b[i % length] for i, v in enumerate(a)], what)
    if item["powers"]:
        same(next(values), [v * v for v in r], what)
        same(next(values), [v * v * v for v in r], what)
    if next(values, None) is not None:
        raise SystemExit(f"{what}: a component that nothing asks for")


def check(number, item, values, opened_items, parties):
    kind = item["item"]
    what = f"{parties} parties, item {number} ({kind})"
    if kind == "triple":
        a, b, c = values
        same(c, [x * y for x, y in zip(a, b)], what)
    elif kind == "square_pair":
        a, c = values
        same(c, [x * x for x in a], what)
    elif kind == "dot_triple":
        a, b, c = values
        n = item["len"]
        same(c, [sum(a[t * n + i] * b[t * n + i] for t in range(item["terms"])) for i in range(n)], what)
    elif kind == "matmul_triple":
        matrices(item, *values, what)
    elif kind == "reusable_mask":
        pass
    elif kind in ("masked_pair", "masked_matmul_pair", "masked_conv_pair"):
        b, c = values
        a = part(item["part"], opened_items[item["mask"]][0])
        if item["right"]:
            a, b = b, a
        if kind == "masked_pair":
            same(c, [x * y for x, y in zip(a, b)], what)
        elif kind == "masked_conv_pair":
            same(c, convolution(item, a, b), what)
        else:
            matrices(item, a, b, c, what)
    elif kind == "truncation_tuple":
        r, w, e = values
        want_w, want_e = quotient(r, item["bits"])
        same(w, want_w, what)
        same(e, want_e, what, item["bits"])
    elif kind == "dabit":
        lanes, ring = values
        same(ring, lanes[0], what)
    elif kind == "angle":
        angle, rows = values
        n = item["len"]
        for k in range(item["multiples"]):
            for i, r in enumerate(angle):
                turn = 2 * math.pi * (k + 1) * r / (1 << item["bits"])
                for row, want in ((2 * k, math.cos(turn)), (2 * k + 1, math.sin(turn))):
                    got = signed(rows[row * n + i]) / (1 << 40)
                    # Parties turn by shares of the angle that are rounded to 30 bits, one after the other.
                    if abs(got - want) > 2.0 ** -20 * (3 * parties - 3):
                        raise SystemExit(f"{what}: {got} is not {want}")
    elif kind == "conv_triple":
        a, b, c = values
        same(c, convolution(item, a, b), what)
    elif kind == "comparison_bundle":
        comparison(item, values, what)
    else:
        raise SystemExit(f"{what}: a kind that this script does not know")


def main(folder):
    seen = {}
    for parties in (2, 3, 5):
        files = sorted(glob.glob(os.path.join(folder, f"{parties}-parties-*.jsonl")))
        if len(files) != parties:
            raise SystemExit(f"{folder} has {len(files)} files of {parties} parties")
        items = [[json.loads(line) for line in open(name)] for name in files]
        opened_items = []
        for number, shares in enumerate(zip(*items)):
            values = [opened(parts) for parts in zip(*(s["components"] for s in shares))]
            opened_items.append(values)
            check(number, shares[0], values, opened_items, parties)
            seen[shares[0]["item"]] = seen.get(shares[0]["item"], 0) + 1
    for kind, count in sorted(seen.items()):
        print(f"{kind}: {count} items hold")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
