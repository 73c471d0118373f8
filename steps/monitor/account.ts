import { scramVerifier } from "../../providers/postgres/scram.ts";
import { type Parts, recordCluster, takeBackRecord } from "../../providers/registry/record.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { ensureSecret, removeSecrets } from "../../providers/registry/secrets.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

/** The role, and what its account and its secret are called in the cluster's entry. */
export const MONITOR_ROLE = "pgdba_monitor";
export const MONITOR_ACCOUNT = "monitor";

/** A scrape and a check at a time are a few sessions; one that hangs must not take those of others. */
const CONNECTIONS = 20;

export default defineStep({
  type: "monitor.account",
  summary: "See that there is a role for monitoring, with a password of its own",
  docs: `The role \`pgdba_monitor\` is a member of \`pg_monitor\` and may do nothing else. Its password is made here, and kept in a file of the state folder that only its owner
reads; the server is given the verifier, so that no statement and no log has it. Done again it changes nothing, unless the role or the file is gone.`,
  example: `- monitor.account: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres", "superuser"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["user", "secret", "made"],
    properties: {
      user: { type: "string" },
      secret: { type: "string", description: "The name of its password in the entry" },
      made: { type: "boolean", description: "The role was not there" },
    },
  },
  async run(ctx) {
    const cluster = ctx.target.cluster!;
    const before = await roleIsThere(ctx);
    const first = ctx.noted === undefined;
    const kept = await entryOf(ctx);
    const isKnown = kept.secrets?.[MONITOR_ACCOUNT] !== undefined;
    if (first) ctx.note({ was: before, known: isKnown, parts: partsOf(kept) as Json });
    let password = "";
    const place = await ensureSecret(ctx.run.stateDir, cluster, MONITOR_ACCOUNT, (value) => {
      ctx.secret(value);
      password = value;
    });
    const accounts = {
      ...kept.accounts,
      [MONITOR_ACCOUNT]: { user: MONITOR_ROLE, password: MONITOR_ACCOUNT },
    };
    const parts = { accounts, secrets: { [MONITOR_ACCOUNT]: place } };
    await recordCluster(
      ctx.run.stateDir,
      cluster,
      { run: ctx.run.id, parts, isFinished: false },
      () => {},
    );
    if (before && isKnown) ctx.unchanged();
    else await makeRole(ctx, password, before);
    return { user: MONITOR_ROLE, secret: MONITOR_ACCOUNT, made: !before };
  },
  async plan(ctx): Promise<Json> {
    return { user: MONITOR_ROLE, secret: MONITOR_ACCOUNT, made: !(await roleIsThere(ctx)) };
  },
  async undo(ctx) {
    const noted = ctx.noted as { was: boolean; known: boolean; parts: Parts } | undefined;
    if (noted === undefined || (noted.was && noted.known)) return ctx.unchanged();
    const cluster = ctx.target.cluster!;
    if (!noted.was && (await roleIsThere(ctx))) {
      const pg = await ctx.use("postgres");
      await pg.execute(`DROP ROLE ${MONITOR_ROLE}`);
    }
    if (noted.known) return;
    const now = await entryOf(ctx);
    await takeBackRecord(ctx.run.stateDir, cluster, partsOf(now), noted.parts);
    await removeSecrets(ctx.run.stateDir, cluster, [MONITOR_ACCOUNT]);
  },
});

async function makeRole(
  ctx: StepContext,
  password: string,
  isThereAlready: boolean,
): Promise<void> {
  const pg = await ctx.use("postgres");
  const verb = isThereAlready ? "ALTER" : "CREATE";
  await pg.execute(
    `${verb} ROLE ${MONITOR_ROLE} LOGIN CONNECTION LIMIT ${CONNECTIONS} PASSWORD '${scramVerifier(password)}'`,
  );
  await pg.execute(`GRANT pg_monitor TO ${MONITOR_ROLE}`);
}

/** The role stands on the server. */
export async function roleIsThere(ctx: StepContext): Promise<boolean> {
  const pg = await ctx.use("postgres");
  const { rows } = await pg.query("SELECT FROM pg_roles WHERE rolname = $1", [MONITOR_ROLE]);
  return rows.length > 0;
}

/** What the step may change, as it was. */
function partsOf({ accounts, secrets }: Parts): Parts {
  return { ...(accounts && { accounts }), ...(secrets && { secrets }) };
}

async function entryOf(ctx: StepContext) {
  const cluster = ctx.target.cluster!;
  return (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))!.data;
}
