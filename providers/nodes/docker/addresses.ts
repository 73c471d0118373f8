/**
 * The addresses of a cluster's network (IPv4). Each node keeps its own for life: whoever has looked a name up (Patroni does for ten minutes, PgBouncer
 * too) would else ask a node that came back elsewhere at its old place. The lower half of the network is for nodes, the upper one for all
 * containers that the Engine gives an address itself.
 */

export interface Subnet {
  first: number;
  size: number;
}

/** `172.20.0.0/16`; undefined for another kind of network. */
export function subnetOf(text: string): Subnet | undefined {
  const [, address = "", bits = ""] = /^([0-9.]+)\/(\d+)$/.exec(text) ?? [];
  const number = numberOf(address);
  if (number === undefined || Number(bits) > 28) return undefined;
  const size = 2 ** (32 - Number(bits));
  return { first: number - (number % size), size };
}

/** The upper half, as the Engine is told of it. */
export function upperHalf({ first, size }: Subnet): string {
  return `${textOf(first + size / 2)}/${33 - Math.log2(size)}`;
}

/** The first address for a node that nobody has; the network's own and the first two, of which one is the gateway, are left. */
export function freeAddress(
  { first, size }: Subnet,
  taken: ReadonlySet<string>,
): string | undefined {
  for (let number = first + 3; number < first + size / 2; number++)
    if (!taken.has(textOf(number))) return textOf(number);
  return undefined;
}

function numberOf(address: string): number | undefined {
  const parts = address.split(".").map(Number);
  if (
    parts.length !== 4 ||
    !parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256)
  )
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

const textOf = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
