import { validateParams } from "../check/params.ts";
import { leadingWords, paramFlags, type Parsed, paramValues, parseFlags } from "./args.ts";
import { compileClosure } from "./closure.ts";
import type { Result } from "./command.ts";
import type { Front } from "./front.ts";
import { libraryOf } from "./library.ts";
import { namedTarget, otherRunbook } from "./named-target.ts";
import { loadRegistry } from "./user-steps.ts";
import { withSecrets } from "./secret-params.ts";
import { connectionFlags, namesDatabase, openTarget, startRun, targetFlags } from "./start-run.ts";

/** `pgdba run NAME` and `pgdba RESOURCE ACTION` alike. `words` are the bare words after the name. */
export async function runRunbook(
  front: Front,
  name: string,
  lenient: Parsed,
  words: string[],
  /** The one that a flag of another led to leads to no further one: two may name each other. */
  led = false,
): Promise<Result> {
  const library = libraryOf(front, (lenient.flags["runbooks"] as string[] | undefined) ?? []);
  const registry = await loadRegistry(front);
  const { runbook, runbooks, warnings, backups, acts, assumes } = await compileClosure(
    name,
    library,
    registry,
  );
  const instead = led ? undefined : otherRunbook(runbook.params, front.argv);
  if (instead !== undefined) return runRunbook(front, instead, lenient, words, true);
  if (lenient.flags["help"]) {
    const { runbookHelpResult } = await import("./help-text.ts");
    return runbookHelpResult(front, runbook);
  }
  const parsed = parseFlags(front.argv, paramFlags(runbook.params));
  const bare = parsed.words.slice(leadingWords(front.argv).length - words.length);
  const recordedParams = validateParams(runbook.params, paramValues(runbook.params, parsed, bare));
  const anyDatabase = namesDatabase(runbook);
  const given = targetFlags(connectionFlags(runbook, parsed.flags));
  const flags = namedTarget(runbook.params, recordedParams, given);
  const params = withSecrets(runbook.params, recordedParams, front.env, front.secrets);
  for (const warning of warnings) {
    if (runbook.doc.layer !== "builtin")
      front.stderr.write(`${warning.where.file}:${warning.where.line}: ${warning.message}\n`);
  }
  const target = await openTarget(front, flags, { assumes, anyDatabase });
  return startRun(
    front,
    parsed.flags,
    { library, registry, acts },
    {
      command: commandName(name),
      runbook,
      runbooks,
      params,
      recordedParams,
      target,
      // A run that goes on later goes on with the same cluster, however many are registered by then.
      targetFlags: target.assumed === true ? { cluster: target.name } : flags,
      backups,
      plan: parsed.flags["plan"] === true,
    },
  );
}

/** `health check` for health/check. */
export function commandName(runbook: string): string {
  return runbook.replaceAll("/", " ");
}
