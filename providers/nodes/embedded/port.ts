import { createServer } from "node:net";
import { PgdbaError } from "../../../engine/errors.ts";
import { HOST } from "./home.ts";

/** Below what systems hand out to outgoing connections: a port of those may be taken whenever the server is down. */
const FIRST = 15_000;
const LAST = 29_999;
const ATTEMPTS = 200;

/** A port for a server that keeps it for good. @throws PgdbaError command_failed */
export async function choosePort(taken: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    if (!taken.includes(port) && (await isFree(port))) return port;
  }
  throw new PgdbaError("command_failed", `No port from ${FIRST} to ${LAST} is free on ${HOST}`, {
    hint: "Name one in the node's place.",
    nothingDone: true,
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen(port, HOST, () => server.close(() => done(true)));
  });
}
