import { quoteIdent } from "../../providers/planner/twin/names.ts";
import { isPasswordOf, scramVerifier } from "../../providers/postgres/scram.ts";
import {
  type Parts,
  recordCluster,
  recordedSince,
  takeBackRecord,
} from "../../providers/registry/record.ts";
import type { ClusterEntry } from "../../providers/registry/read.ts";
import type { ClusterFile } from "../../providers/registry/schema.ts";
import { ensureSecret, readPassword, removeSecrets } from "../../providers/registry/secrets.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { entryOf } from "./node/entry.ts";

/** The role, where no other state folder has one of this name on the server. PgBouncers that pgdba makes know it by this name. */
export const MONITOR_ROLE = "pgdba_monitor";
/** What its account and its secret are called in the cluster's entry. */
export const MONITOR_ACCOUNT = "monitor";

/** A scrape and a check at a time are a few sessions; one that hangs must not take those of others. */
const CONNECTIONS = 20;

export default defineStep({
  type: "monitor.account",
  summary: "See that there is a role for monitoring, with a password of its own",
  docs: `The role \`pgdba_monitor\` (or, where another state folder watches the same server by a role of that name, one of its own, which begins so) is a member of \`pg_monitor\` and may do nothing else. Its password is made here, and kept in a file of the state folder that only its owner
reads; the server is given the verifier, so that no statement and no log has it. Done again it changes nothing, unless the role or the file is gone, or the server has
another password.`,
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
    const { name: cluster, data: kept } = await entryOf(ctx);
    const user = monitorUser(kept) ?? (await freeRole(ctx));
    const before = await roleIsThere(ctx, user);
    const first = ctx.noted === undefined;
    const isKnown = kept.secrets?.[MONITOR_ACCOUNT] !== undefined;
    const uses = kept.monitoring !== undefined;
    if (first) ctx.note({ was: before, known: isKnown, uses, parts: partsOf(kept) as Json });
    let password = "";
    const place = await ensureSecret(ctx.run.stateDir, cluster, MONITOR_ACCOUNT, (value) => {
      ctx.secret(value);
      password = value;
    });
    const accounts = {
      ...kept.accounts,
      [MONITOR_ACCOUNT]: { user, password: MONITOR_ACCOUNT },
    };
    const parts = { accounts, secrets: { [MONITOR_ACCOUNT]: place } };
    await recordCluster(
      ctx.run.stateDir,
      cluster,
      { run: ctx.run.id, parts, isFinished: false },
      () => {},
    );
    if (isKnown && (await isRight(ctx, user, password))) ctx.unchanged();
    else {
      if (before)
        ctx.warn(
          `${user} was there with another password and has a new one: whoever else watches this server with it can't log in until \`monitor setup\` is run there again`,
        );
      await makeRole(ctx, user, password, before);
    }
    return { user, secret: MONITOR_ACCOUNT, made: !before };
  },
  async plan(ctx): Promise<Json> {
    const user = monitorUser((await entryOf(ctx)).data) ?? (await freeRole(ctx));
    return { user, secret: MONITOR_ACCOUNT, made: !(await roleIsThere(ctx, user)) };
  },
  async undo(ctx) {
    const noted = ctx.noted as unknown as Noted | undefined;
    if (noted === undefined || (noted.was && noted.known)) return ctx.unchanged();
    const { name: cluster, data: now } = await entryOf(ctx);
    const user = monitorUser(now);
    if (isNeededSince(ctx, noted.uses, now)) return ctx.unchanged();
    if (!noted.was && user !== undefined && (await roleIsThere(ctx, user))) {
      const pg = await ctx.use("postgres");
      await pg.execute(`DROP ROLE ${quoteIdent(user)}`);
    }
    if (noted.known) return;
    const record = { run: ctx.run.id, parts: partsOf(now) };
    await takeBackRecord(ctx.run.stateDir, cluster, record, noted.parts);
    await removeSecrets(ctx.run.stateDir, cluster, [MONITOR_ACCOUNT]);
  },
});

interface Noted {
  was: boolean;
  known: boolean;
  /** The entry named programs that watch the cluster. */
  uses: boolean;
  parts: Parts;
}

/**
 * For whoever takes back: what this run itself has recorded is taken back by then, so that whoever watches now has been set up by a later run, with what this one has left.
 * `before` tells whether anybody watched when this run began.
 */
export function isNeededSince(
  ctx: StepContext,
  before: boolean,
  now: Pick<ClusterFile, "monitoring" | "recorded_by">,
): boolean {
  // Another run that has found the role as it should be may be under way still.
  const isUsed =
    now.monitoring !== undefined || recordedSince(now, "accounts", ctx.run.id) !== null;
  if (before || !isUsed) return false;
  ctx.warn(
    `Another run has set monitoring up since, with what this one had made: that stays. \`pgdba monitor remove --cluster ${ctx.target.cluster}\` takes it away`,
  );
  return true;
}

/** The role that the entry names; undefined where it names none. */
export const monitorUser = ({ accounts }: Pick<ClusterFile, "accounts">): string | undefined =>
  accounts?.[MONITOR_ACCOUNT]?.user;

/** A role of that name is another state folder's: it keeps its password, and this one has a role of its own. */
async function freeRole(ctx: StepContext): Promise<string> {
  if (!(await roleIsThere(ctx, MONITOR_ROLE))) return MONITOR_ROLE;
  const user = `${MONITOR_ROLE}_${crypto.randomUUID().slice(0, 8)}`;
  ctx.warn(
    `${MONITOR_ROLE} is there already, by another state folder of pgdba or an entry that was forgotten: this one watches as ${user}. Where nobody uses the other, drop it`,
  );
  return user;
}

async function makeRole(
  ctx: StepContext,
  user: string,
  password: string,
  isThereAlready: boolean,
): Promise<void> {
  const pg = await ctx.use("postgres");
  const verb = isThereAlready ? "ALTER" : "CREATE";
  await pg.execute(
    `${verb} ROLE ${quoteIdent(user)} LOGIN CONNECTION LIMIT ${CONNECTIONS} PASSWORD '${scramVerifier(password)}'`,
  );
  await pg.execute(`GRANT pg_monitor TO ${quoteIdent(user)}`);
}

/** It may log in with this password and sees what it has to: a restore, or another file of this server, may have given it another one. */
async function isRight(ctx: StepContext, user: string, password: string): Promise<boolean> {
  const pg = await ctx.use("postgres");
  const { rows } = await pg.query(
    `SELECT a.rolcanlogin AND pg_has_role(a.oid, 'pg_monitor', 'USAGE') AS usable, a.rolpassword AS verifier
     FROM pg_catalog.pg_authid a WHERE a.rolname = $1`,
    [user],
  );
  const verifier = rows[0]?.["verifier"];
  if (rows[0]?.["usable"] !== true || typeof verifier !== "string") return false;
  ctx.secret(verifier);
  return isPasswordOf(password, verifier);
}

/** The password of the role as the entry keeps it; undefined where it keeps none. @throws PgdbaError missing_secret */
export function monitorPassword(ctx: StepContext, entry: ClusterEntry): string | undefined {
  const place = entry.secrets.find(({ name }) => name === MONITOR_ACCOUNT)?.place ?? {};
  return readPassword(place, entry.file, {
    env: ctx.env,
    onSecret: (value) => ctx.secret(value),
  });
}

/** The role stands on the server. */
export async function roleIsThere(ctx: StepContext, role: string): Promise<boolean> {
  const pg = await ctx.use("postgres");
  const { rows } = await pg.query("SELECT FROM pg_roles WHERE rolname = $1", [role]);
  return rows.length > 0;
}

/** What the step may change, as it was. */
function partsOf({ accounts, secrets }: Parts): Parts {
  return { ...(accounts && { accounts }), ...(secrets && { secrets }) };
}
