import { timingSafeEqual } from "node:crypto";
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
} from "@modelcontextprotocol/server";
import { PgdbaError } from "../../errors.ts";
import { makeServer } from "./server.ts";
import { Sessions } from "./sessions.ts";
import type { Serving } from "./unconfirmed.ts";

/** Bytes. The longest call is a statement among the parameters. */
const MAX_BODY = 4 * 1024 * 1024;
/** s */
const IDLE_S = 10;

/**
 * Serves over HTTP on the loopback address. Each request names the token; Host and Origin must be of this machine, so that a page in a
 * browser can't get here by a name that leads to 127.0.0.1. @throws PgdbaError io_failed when the port is taken
 */
export function serveHttp(
  serving: Serving,
  port: number,
  token: string,
): { port: number; close(): Promise<void> } {
  const sessions = new Sessions();
  const handler = createMcpHandler(({ requestInfo }) =>
    makeServer(serving, sessions.of(requestInfo)),
  );
  const expected = digest(`Bearer ${token}`);
  try {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port,
      maxRequestBodySize: MAX_BODY,
      // Who holds a line open without saying a word, or without the token, does not keep it.
      idleTimeout: IDLE_S,
      async fetch(request, self) {
        const refused =
          hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
          originValidationResponse(request, localhostAllowedOrigins());
        if (refused !== undefined) return refused;
        if (new URL(request.url).pathname !== "/mcp") return new Response(null, { status: 404 });
        const said = digest(request.headers.get("authorization") ?? "");
        if (!timingSafeEqual(said, expected))
          return new Response(null, { status: 401, headers: { "WWW-Authenticate": "Bearer" } });
        // A run may take hours; the stream of its answer is kept open by comments.
        self.timeout(request, 0);
        const body: unknown = await request
          .clone()
          .json()
          .catch(() => undefined);
        return sessions.begun(request, body, await handler.fetch(request));
      },
    });
    return {
      port: server.port!,
      async close() {
        await server.stop(true);
        await handler.close();
      },
    };
  } catch (cause) {
    throw new PgdbaError("io_failed", `Port ${port} of 127.0.0.1 can't be listened on`, {
      cause,
      hint: "Is another server there? Choose another port, or 0 for a free one.",
    });
  }
}

/** Of one length, whatever was said. */
function digest(text: string): Buffer {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}
