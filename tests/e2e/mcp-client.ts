/** `pgdba mcp` by the protocol's own client, over standard input. */
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { join } from "node:path";
import type { Envelope } from "../../engine/types.ts";
import type { Env, Place } from "./support.ts";

export interface Answer {
  said: string;
  envelope: Envelope;
  isError: boolean;
  bytes: number;
}
type Options = NonNullable<Parameters<Client["callTool"]>[1]>;

/** A client of a server with these flags, which both end with `close` of it. */
export async function connectTo(
  { cwd, env }: Place,
  flags: readonly string[],
  more: Env = {},
): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StdioClientTransport({
    command: join(import.meta.dir, "../../engine/pgdba"),
    args: ["mcp", ...flags],
    cwd,
    env: { ...env, ...more },
    stderr: "ignore",
  });
  await client.connect(transport);
  return client;
}

export async function call(
  to: Client,
  name: string,
  args: object = {},
  options?: Options,
): Promise<Answer> {
  const { content, isError } = await to.callTool(
    { name, arguments: args as Record<string, unknown> },
    options,
  );
  const texts = (content as { type: string; text: string }[]).map(({ text }) => text);
  const bytes = Buffer.byteLength(texts.join(""));
  const envelope = texts.length < 2 ? ({} as Envelope) : (JSON.parse(texts[1]!) as Envelope);
  return { said: texts[0]!, envelope, isError: isError === true, bytes };
}
