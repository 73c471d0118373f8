import { quoteIdent } from "../../providers/planner/twin/names.ts";
import type { ClusterFile } from "../../providers/registry/schema.ts";
import { unmarked } from "../../providers/registry/record.ts";
import { changeCluster } from "../../providers/registry/write.ts";
import { removeSecrets } from "../../providers/registry/secrets.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { MONITOR_ACCOUNT, monitorUser, roleIsThere } from "./account.ts";
import { GRAFANA_SECRET } from "./include/grafana.ts";
import { entryOf } from "./node/entry.ts";

/** What the entry keeps of monitoring, by name. */
const OURS: readonly string[] = [MONITOR_ACCOUNT, GRAFANA_SECRET];
/** The parts of it that they stand in, or that go. */
const PARTS: readonly string[] = ["monitoring", "accounts", "secrets"];

export default defineStep({
  type: "monitor.account-remove",
  summary:
    "Remove the role for monitoring, the passwords that monitoring has, and what the entry says of monitoring",
  docs: `The role that the entry names: one of another state folder stays. The other half of \`monitor.account\`. Sessions of the role are ended first. What is not there any more counts as removed.`,
  example: `- monitor.account-remove: {}
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
    required: ["user", "removed"],
    properties: { user: { type: ["string", "null"] }, removed: { type: "boolean" } },
  },
  async run(ctx) {
    const { name: cluster, data } = await entryOf(ctx);
    const user = monitorUser(data) ?? null;
    const isThere = user !== null && (await roleIsThere(ctx, user));
    if (isThere) {
      const pg = await ctx.use("postgres");
      await pg.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
        [user],
      );
      await pg.execute(`DROP ROLE ${quoteIdent(user)}`);
    }
    let known = false;
    await changeCluster(ctx.run.stateDir, cluster, (before) => {
      const { monitoring, accounts, secrets, ...rest } = before!.data;
      known = monitoring !== undefined || accounts?.[MONITOR_ACCOUNT] !== undefined;
      const others = <T>(of: Record<string, T> | undefined) =>
        Object.fromEntries(Object.entries(of ?? {}).filter(([name]) => !OURS.includes(name)));
      const after = {
        ...rest,
        ...(accounts === undefined ? {} : { accounts: others(accounts) }),
        ...(secrets === undefined ? {} : { secrets: others(secrets) }),
      } as ClusterFile;
      return unmarked(after, (part) => PARTS.includes(part));
    });
    await removeSecrets(ctx.run.stateDir, cluster, OURS);
    const removed = isThere || known;
    if (!removed) ctx.unchanged();
    return { user, removed };
  },
  async plan(ctx): Promise<Json> {
    const user = monitorUser((await entryOf(ctx)).data) ?? null;
    return { user, removed: user !== null && (await roleIsThere(ctx, user)) };
  },
});
