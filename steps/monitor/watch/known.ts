/** Whether there is what a silence is to be about: a name that is misspelled would silence nothing, and nobody would know. */
import { PgdbaError } from "../../../engine/errors.ts";
import { suggest } from "../../../engine/shared/suggest.ts";
import type { StepContext } from "../../../engine/types.ts";
import { askRules, type Group, type Heard } from "./alerts.ts";
import type { Wish } from "./silences.ts";

/** Without a Prometheus that says which there are, all names are taken; of one that does not answer that is a warning. @throws PgdbaError invalid_param: no rule and no alert has this name */
export async function assertKnown(ctx: StepContext, wishes: readonly Wish[]): Promise<void> {
  const monitoring = await ctx.use("monitoring");
  if (monitoring.url("prometheus") === null) return;
  const groups = await groupsOf(ctx);
  if (groups === null) return;
  const heard = (await monitoring.ask("alertmanager", "/api/v2/alerts")) as unknown as Heard[];
  const names = new Set([
    ...groups.flatMap(({ rules }) => rules.map(({ name }) => name)),
    ...heard.map(({ labels }) => labels["alertname"] ?? ""),
  ]);
  for (const alert of wishes.flatMap(({ alerts = [] }) => alerts)) {
    if (names.has(alert)) continue;
    const near = suggest(alert, [...names]);
    throw new PgdbaError("invalid_param", `There is no alert ${alert}`, {
      hint: `${near === undefined ? "" : `Did you mean ${near}? `}\`pgdba monitor alerts list\` shows those that there are.`,
      nothingDone: true,
    });
  }
  const members = wishes.flatMap(({ members: named = [] }) => named);
  if (members.length === 0) return;
  const match = `up{cluster=${JSON.stringify(ctx.target.cluster)}}`;
  const there = (await monitoring.ask("prometheus", "/api/v1/label/instance/values", {
    query: { "match[]": match },
  })) as string[];
  for (const member of new Set(members))
    if (!there.includes(member))
      ctx.warn(`Nothing of ${ctx.target.cluster} that is watched is called ${member}`);
}

/** Null where Prometheus can't be reached: a silence needs Alertmanager alone. */
async function groupsOf(ctx: StepContext): Promise<Group[] | null> {
  try {
    return await askRules(await ctx.use("monitoring"));
  } catch (error) {
    if (!(error instanceof PgdbaError) || error.code !== "connection_failed") throw error;
    ctx.warn(`Whether there are such alerts and members is not known: ${error.message}`);
    return null;
  }
}
