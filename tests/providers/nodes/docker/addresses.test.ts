import { expect, test } from "bun:test";
import { freeAddress, subnetOf, upperHalf } from "../../../../providers/nodes/docker/addresses.ts";

test.each([
  ["172.20.0.0/16", "172.20.128.0/17", "172.20.0.3"],
  ["192.168.16.0/20", "192.168.24.0/21", "192.168.16.3"],
  ["10.1.2.16/28", "10.1.2.24/29", "10.1.2.19"],
])("%s: the Engine gives addresses of %s, and nodes begin at %s", (range, upper, first) => {
  const subnet = subnetOf(range)!;
  expect(upperHalf(subnet)).toBe(upper);
  expect(freeAddress(subnet, new Set())).toBe(first);
});

test("an address is given once, and none of the upper half", () => {
  const subnet = subnetOf("10.1.2.16/28")!;
  const taken = new Set<string>();
  for (;;) {
    const next = freeAddress(subnet, taken);
    if (next === undefined) break;
    expect(taken.has(next)).toBe(false);
    taken.add(next);
  }
  expect([...taken]).toEqual(["10.1.2.19", "10.1.2.20", "10.1.2.21", "10.1.2.22", "10.1.2.23"]);
  expect(freeAddress(subnet, new Set([...taken].slice(1)))).toBe("10.1.2.19");
});

test("a range that is no IPv4, or has no room, has no addresses of nodes", () => {
  for (const range of ["", "fd00::/64", "10.0.0.0", "10.0.0.0/29", "10.0.300.0/24"])
    expect(subnetOf(range)).toBeUndefined();
});
