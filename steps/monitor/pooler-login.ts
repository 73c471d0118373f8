import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { isPasswordOf, scramVerifier } from "../../providers/postgres/scram.ts";
import { defineStep } from "../define.ts";
import { isNeededSince, MONITOR_ROLE, monitorPassword, monitorUser } from "./account.ts";
import { entryOf } from "./node/entry.ts";
import script from "./node/pooler_login.py" with { type: "text" };

/** Where the verifier is kept on the node. */
const KEPT = "/run/secrets/monitor";

export default defineStep({
  type: "monitor.pooler-login",
  summary: "Let the role of monitoring log in to the console of PgBouncers, where it may only look",
  docs: `A PgBouncer that pgdba made names \`${MONITOR_ROLE}\` among its \`stats_users\`. Its node is given the verifier of the password, never the password, and PgBouncer reads its users again; no client
notices. One that an older pgdba made does not know the user: that is a warning, and \`cluster restart --renew\` mends it. With \`remove\` the user is taken away.`,
  example: `- monitor.pooler-login: {nodes: [pgbouncer1]}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: {
      nodes: { type: "array", items: { type: "string", minLength: 1 } },
      remove: { type: "boolean", default: false },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: {
      nodes: { type: "array", items: { type: "string" }, description: "Those that were changed" },
    },
  },
  async run(ctx, { nodes, remove = false }) {
    const entry = await entryOf(ctx);
    const user = monitorUser(entry.data) ?? MONITOR_ROLE;
    const done: string[] = [];
    for (const node of nodes) {
      const is = await verifierOn(ctx, node);
      const password = remove ? null : passwordOf(ctx, entry);
      if (password === null ? is === null : is !== null && isPasswordOf(password, is)) continue;
      if (await put(ctx, node, user, password === null ? null : scramVerifier(password)))
        done.push(node);
      else if (!remove)
        ctx.warn(
          `${node} was made by an older pgdba, and does not let ${user} in: nothing watches it until \`pgdba cluster restart --renew --cluster ${ctx.target.cluster}\` has made it anew and \`monitor setup\` is run again`,
        );
    }
    if (done.length === 0) ctx.unchanged();
    else ctx.note({ done, uses: entry.data.monitoring !== undefined });
    return { nodes: done };
  },
  async plan(_ctx, { nodes }): Promise<Json> {
    return { nodes };
  },
  async undo(ctx, { remove = false }) {
    const { done, uses } = (ctx.noted ?? { done: [], uses: false }) as unknown as Noted;
    // Who took it away has no password to give it back; the next setup does.
    if (remove || done.length === 0) return ctx.unchanged();
    const { data } = await entryOf(ctx);
    if (isNeededSince(ctx, uses, data)) return ctx.unchanged();
    const user = monitorUser(data) ?? MONITOR_ROLE;
    for (const node of done) await put(ctx, node, user, null);
  },
});

interface Noted {
  done: string[];
  /** The entry named programs that watch the cluster. */
  uses: boolean;
}

function passwordOf(ctx: StepContext, entry: Awaited<ReturnType<typeof entryOf>>): string {
  const password = monitorPassword(ctx, entry);
  if (password !== undefined) return password;
  throw new PgdbaError(
    "missing_secret",
    `The entry of ${entry.name} keeps no password of ${MONITOR_ROLE}`,
    {
      hint: `Run \`pgdba monitor setup --cluster ${entry.name}\`, which makes it.`,
      nothingDone: true,
    },
  );
}

/** Null where none is kept. */
async function verifierOn(ctx: StepContext, node: string): Promise<string | null> {
  const { exit_code, stdout } = await (
    await ctx.use("nodes")
  ).exec(node, ["cat", KEPT], { user: "root" });
  if (exit_code !== 0) return null;
  const verifier = stdout.trim();
  ctx.secret(verifier);
  return verifier;
}

/** Tells whether PgBouncer there knows the user. @throws PgdbaError command_failed */
async function put(
  ctx: StepContext,
  node: string,
  user: string,
  verifier: string | null,
): Promise<boolean> {
  if (verifier !== null) ctx.secret(verifier);
  const nodes = await ctx.use("nodes");
  const { exit_code, stdout, stderr } = await nodes.exec(node, ["python3", "-I", "-c", script], {
    user: "root",
    stdin: JSON.stringify({ user, verifier }),
  });
  if (exit_code === 0) return (JSON.parse(stdout) as { known: boolean }).known;
  throw new PgdbaError(
    "command_failed",
    `The users of PgBouncer on ${node} can't be changed: ${stderr.trim()}`,
    {
      hint: "Look at the node's state (pgdba cluster status) and at its log.",
    },
  );
}
