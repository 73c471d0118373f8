import type { Engine } from "./engine.ts";
import { isIP } from "node:net";

/** Below those that the kernel gives to connections, so that none of them takes a port while its node is stopped. */
const FROM = 15_000;
const TO = 31_000;
const TRIES = 200;

/** A free port for each of these inside, chosen once: a node keeps them for its life. `taken` are those of other nodes. */
export async function choosePorts(
  engine: Engine,
  inside: readonly number[],
  { address, first, taken }: { address: string; first?: number | undefined; taken: Set<number> },
): Promise<Record<string, number>> {
  const chosen: Record<string, number> = {};
  for (const [at, port] of inside.entries()) {
    const one = at === 0 && first !== undefined ? first : await freePort(engine, address, taken);
    taken.add(one);
    chosen[String(port)] = one;
  }
  return chosen;
}

async function freePort(engine: Engine, address: string, taken: Set<number>): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM));
    if (taken.has(port)) continue;
    // On another machine, also behind a tunnel, only the Engine knows it, and says so at the start.
    if (engine.socket === null || isIP(address) === 0 || (await isFree(address, port))) return port;
  }
  throw new RangeError("no port is free");
}

async function isFree(hostname: string, port: number): Promise<boolean> {
  try {
    const server = Bun.listen({ hostname, port, socket: { data() {} } });
    server.stop(true);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EADDRNOTAVAIL";
  }
}
