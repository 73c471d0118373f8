import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import type { ConnectionSpec } from "../postgres/connect.ts";

/**
 * All places that a host and a port lead to, written so that equal ones are equal texts: names are resolved, and whatever leads to
 * this machine (a socket's folder, `localhost`, an address of its own) is `local`.
 */
export async function addressesOf({
  host,
  port,
}: Pick<ConnectionSpec, "host" | "port">): Promise<string[]> {
  // A cluster that is not made yet is nowhere.
  if (host === "") return [];
  if (host.startsWith("/")) return [`local:${port}`];
  const found = await lookup(host, { all: true }).catch(() => []);
  // A name that nobody can resolve is at least the same as itself.
  const places = found.length === 0 ? [host.toLowerCase()] : found.map((one) => place(one.address));
  return [...new Set(places)].map((one) => `${one}:${port}`).toSorted();
}

function place(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return isLocal(plain) ? "local" : plain;
}

function isLocal(address: string): boolean {
  if (address.startsWith("127.") || ["::1", "0.0.0.0", "::"].includes(address)) return true;
  return Object.values(networkInterfaces()).some((all) =>
    all?.some((own) => own.address === address),
  );
}
