import { isIP } from "node:net";
import { answers } from "../answers.ts";
import { ask, type Engine } from "./engine.ts";

/** Below those that the kernel gives to connections, so that none of them takes a port while its node is stopped. */
const FROM = 15_000;
const TO = 31_000;
const TRIES = 200;
/** Who listens answers at once, also on another machine. */
const ANSWERS_MS = 2_000;

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
    // On another machine, also behind a tunnel, it is looked at when the Engine refused to publish it.
    if (!isHere(engine, address) || (await isFree(address, port))) return port;
  }
  throw new RangeError("no port is free");
}

/**
 * Whether somebody has one of these ports at the address: the Engine says only in words that a container could not start for that, so it is
 * looked who has them. By then it may be nobody any more, and the refusal stands as it is.
 */
export async function isAnyTaken(
  engine: Engine,
  address: string,
  ports: readonly number[],
): Promise<boolean> {
  const all = await ask(engine, "list containers", () => engine.docker.listContainers());
  const published = new Set(all.flatMap(({ Ports }) => Ports.map(({ PublicPort }) => PublicPort)));
  if (ports.some((port) => published.has(port))) return true;
  const taken = ports.map(async (port) =>
    isHere(engine, address) ? !(await isFree(address, port)) : answers(address, port, ANSWERS_MS),
  );
  return (await Promise.all(taken)).includes(true);
}

/** Only an address of this machine can be tried by listening at it. */
const isHere = (engine: Engine, address: string): boolean =>
  engine.socket !== null && isIP(address) !== 0;

async function isFree(hostname: string, port: number): Promise<boolean> {
  try {
    const server = Bun.listen({ hostname, port, socket: { data() {} } });
    server.stop(true);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EADDRNOTAVAIL";
  }
}
