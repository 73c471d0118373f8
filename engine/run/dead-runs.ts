import { amount } from "../shared/amount.ts";
import { isDead } from "../journal/holder.ts";
import { stepTypes } from "../journal/step-types.ts";
import { leftBehind } from "./left-behind.ts";
import type { Host } from "./request.ts";

/** Dead runs that are named; more are counted. */
const MAX_NAMED = 3;

/**
 * Says of earlier runs on this target that they died half way: what they left is there now, whatever this run does. Those that
 * a command takes back come first, then the newest.
 */
export async function deadRuns(
  { journal, registry, clock }: Pick<Host, "journal" | "registry" | "clock">,
  target: string,
  id: string,
): Promise<string[]> {
  const dead = journal
    .unfinished()
    .filter((row) => row.id !== id && row.target.name === target && isDead(row.holder))
    .toSorted((a, b) => (a.id < b.id ? 1 : -1));
  if (dead.length === 0) return [];
  const ids = dead.map((row) => row.id);
  const types = stepTypes(journal.db, ids);
  const takeBack = new Map<string, string>();
  for (const type of new Set([...types.values()].flat())) {
    const command = registry.has(type) ? (await registry.get(type)).takeBack : undefined;
    if (command !== undefined) takeBack.set(type, command);
  }
  const commandsOf = (run: string) => [
    ...new Set((types.get(run) ?? []).flatMap((type) => takeBack.get(type) ?? [])),
  ];
  const ordered = dead.toSorted(
    (a, b) => Number(commandsOf(b.id).length > 0) - Number(commandsOf(a.id).length > 0),
  );
  const named = ordered.slice(0, MAX_NAMED).map((row) => {
    const back = commandsOf(row.id)
      .map((command) => `, or back with \`pgdba ${command} ${row.id}\``)
      .join("");
    return `Run ${row.id} (${row.runbook}) on ${target} died before its end. Look at it with \`pgdba runs ${row.id}\`, go on with \`pgdba resume ${row.id}\`${back}.`;
  });
  named.push(...(await leftBehind(journal, clock, ids)).slice(0, MAX_NAMED));
  const more = dead.length - MAX_NAMED;
  if (more <= 0) return named;
  const runs = amount(more, "more run");
  return [
    ...named,
    `${runs} on ${target} died before their end. \`pgdba runs --limit 1000\` lists them as dead.`,
  ];
}
