import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { startTls } from "../../postgres/certificate.ts";
import type { Address, Running } from "../contract.ts";

/** Whose certificate it is does not count: nothing is told there that is worth anything. */
const UNSEEN = { rejectUnauthorized: false };
const PROTOCOL_3 = 196_608;
const PING_MS = 2_000;
/** SQLSTATE of a server that takes no connections yet, or not any more. */
const CANNOT_CONNECT_NOW = "57P03";

/**
 * Whether a PostgreSQL takes connections there, as pg_isready finds it out: nobody has to log in for it. `stopped` when nobody answers;
 * a port that the Engine publishes takes a connection in any case. By TLS where the server takes nothing else, for it would log a refusal.
 */
export async function pingPostgres(
  at: Address,
  user: string,
  tls = false,
): Promise<Extract<Running, "running" | "starting" | "stopped">> {
  const parameters = Buffer.from(`user\0${user}\0database\0postgres\0application_name\0pgdba\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + parameters.length, 0);
  head.writeInt32BE(PROTOCOL_3, 4);
  const plain = tls ? await startTls(at, PING_MS) : connectSocket(at);
  if (plain === null) return "stopped";
  const socket = tls ? connectTls({ ...UNSEEN, socket: plain }) : plain;
  const answer = await firstBytes(socket, Buffer.concat([head, parameters]));
  plain.destroy();
  if (answer === null) return "stopped";
  // An authentication request, or any other error: whoever has an account gets in.
  return answer.includes(CANNOT_CONNECT_NOW) ? "starting" : "running";
}

/** Whether anybody answers the first bytes of an HTTP request, or keeps a connection open that nobody closes. */
export async function answersHttp(at: Address, path: string, tls = false): Promise<boolean> {
  const request = Buffer.from(`GET ${path} HTTP/1.0\r\n\r\n`);
  const socket = tls ? connectTls({ ...UNSEEN, ...at }) : connectSocket(at);
  return (await firstBytes(socket, request)) !== null;
}

/** Null when it is closed, or nothing comes. */
function firstBytes(socket: Socket, send: Uint8Array): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve(null), PING_MS);
  socket.on("error", () => resolve(null));
  socket.once("close", () => resolve(null));
  socket.once(socket instanceof TLSSocket ? "secureConnect" : "connect", () => socket.write(send));
  socket.once("data", (bytes: Buffer) => resolve(bytes.toString("latin1")));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
