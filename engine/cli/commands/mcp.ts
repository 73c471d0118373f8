import { Writable } from "node:stream";
import { PgdbaError } from "../../errors.ts";
import type { Parsed } from "../args.ts";
import type { Command, Result } from "../command.ts";
import type { Front, Output } from "../front.ts";

/** Flags that hold for each call. */
const OF_THE_TARGET = ["cluster", "host", "port", "user", "database"] as const;

/** The caller that runs are taken for by the policy, where PGDBA_CALLER does not say another. */
const CALLER = "agent";

export default {
  name: "mcp",
  place: 9,
  summary: "Serve agents over the Model Context Protocol, on standard input or HTTP",
  usage: "[--http PORT] [--agent-confirms] [--cluster NAME]",
  flags: {
    http: { type: "string", summary: "Serve HTTP on this port of 127.0.0.1 (0: a free one)" },
    "agent-confirms": {
      type: "boolean",
      summary: "Let the agent confirm what is disruptive or destructive, as far as the policy goes",
    },
  },
  async run(front, parsed): Promise<Result> {
    const { Children } = await import("../mcp/child.ts");
    const { makeServer } = await import("../mcp/server.ts");
    const children = new Children(front, CALLER);
    const serving = {
      front,
      children,
      fixed: fixedBy(parsed.flags),
      confirms: parsed.flags["agent-confirms"] === true,
    };
    const port = parsed.flags["http"];
    if (typeof port === "string") {
      const { serveHttp } = await import("../mcp/http.ts");
      const { tokenOf } = await import("../mcp/token.ts");
      const { token, from } = await tokenOf(front);
      const server = serveHttp(serving, portOf(port), token);
      front.stderr.write(
        `MCP on http://127.0.0.1:${server.port}/mcp; the bearer token is that of ${from}\n`,
      );
      await stopped(front.stop.soft);
      await children.close();
      await server.close();
      return { exit: 0, data: { port: server.port } };
    }
    const { serveStdio, StdioServerTransport } = await import("@modelcontextprotocol/server/stdio");
    const transport = new StdioServerTransport(front.stdin, writableTo(front.stdout));
    const handle = serveStdio(() => makeServer(serving), { transport });
    await Promise.race([ended(front.stdin), stopped(front.stop.soft)]);
    await children.close();
    await handle.close();
    return { exit: 0, said: true };
  },
} satisfies Command;

function fixedBy(flags: Parsed["flags"]) {
  const runbooks = (flags["runbooks"] as string[] | undefined) ?? [];
  const target = OF_THE_TARGET.flatMap((name) =>
    typeof flags[name] === "string" ? [`--${name}=${flags[name]}`] : [],
  );
  const config = typeof flags["config"] === "string" ? [`--config=${flags["config"]}`] : [];
  return {
    runbooks,
    target,
    argv: [...target, ...config, ...runbooks.map((dir) => `--runbooks=${dir}`)],
  };
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new PgdbaError("usage", `--http: ${text.slice(0, 40)} is no port`, {
    hint: "pgdba mcp --http 8765, or 0 for a free one",
  });
}

function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}

/** The caller has closed the line. */
function ended(stdin: Front["stdin"]): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ["end", "close", "error"]) stdin.once(event, () => resolve());
  });
}

/** The one stream that may hold the protocol. */
function writableTo(output: Output): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      output.write(chunk.toString(), () => done());
    },
  });
}
