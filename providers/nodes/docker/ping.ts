import type { Address, Running } from "../contract.ts";

const PROTOCOL_3 = 196_608;
const PING_MS = 2_000;
/** SQLSTATE of a server that takes no connections yet, or not any more. */
const CANNOT_CONNECT_NOW = "57P03";

/**
 * Whether a PostgreSQL takes connections there, as pg_isready finds it out: nobody has to log in for it. `stopped` when nobody answers;
 * a port that the Engine publishes takes a connection in any case.
 */
export async function pingPostgres(
  at: Address,
  user: string,
): Promise<Extract<Running, "running" | "starting" | "stopped">> {
  const parameters = Buffer.from(`user\0${user}\0database\0postgres\0application_name\0pgdba\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + parameters.length, 0);
  head.writeInt32BE(PROTOCOL_3, 4);
  const answer = await firstBytes(at, Buffer.concat([head, parameters]));
  if (answer === null) return "stopped";
  // An authentication request, or any other error: whoever has an account gets in.
  return answer.includes(CANNOT_CONNECT_NOW) ? "starting" : "running";
}

/** Whether anybody answers the first bytes of an HTTP request, or keeps a connection open that nobody closes. */
export async function answersHttp(at: Address, path: string): Promise<boolean> {
  return (await firstBytes(at, Buffer.from(`GET ${path} HTTP/1.0\r\n\r\n`))) !== null;
}

/** Null when it is closed, or nothing comes. */
function firstBytes({ host, port }: Address, send: Uint8Array): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve(null), PING_MS);
  let socket: Bun.Socket | undefined;
  Bun.connect({
    hostname: host,
    port,
    socket: {
      open: (one) => void one.write(send),
      data: (_, bytes) => resolve(bytes.toString("latin1")),
      close: () => resolve(null),
      error: () => resolve(null),
    },
  }).then(
    (one) => (socket = one),
    () => resolve(null),
  );
  return promise.finally(() => {
    clearTimeout(timer);
    socket?.terminate();
  });
}
