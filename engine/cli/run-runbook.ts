import { PgdbaError } from "../errors.ts";
import type { JsonObject, ParamSpec } from "../types.ts";
import { validateParams } from "../check/params.ts";
import { leadingWords, paramFlags, type Parsed, paramValues, parseFlags } from "./args.ts";
import { compileClosure } from "./closure.ts";
import type { Result } from "./command.ts";
import type { Front, TargetFlags } from "./front.ts";
import { libraryOf } from "./library.ts";
import { loadRegistry } from "./user-steps.ts";
import { withSecrets } from "./secret-params.ts";
import { namesDatabase, openTarget, startRun, targetFlags } from "./start-run.ts";

/** `pgdba run NAME` and `pgdba RESOURCE ACTION` alike. `words` are the bare words after the name. */
export async function runRunbook(
  front: Front,
  name: string,
  lenient: Parsed,
  words: string[],
): Promise<Result> {
  const library = libraryOf(front, (lenient.flags["runbooks"] as string[] | undefined) ?? []);
  const registry = await loadRegistry(front);
  const { runbook, runbooks, warnings, backups, acts, assumes } = await compileClosure(
    name,
    library,
    registry,
  );
  if (lenient.flags["help"]) {
    const { runbookHelpResult } = await import("./help-text.ts");
    return runbookHelpResult(front, runbook);
  }
  const parsed = parseFlags(front.argv, paramFlags(runbook.params));
  const bare = parsed.words.slice(leadingWords(front.argv).length - words.length);
  const recordedParams = validateParams(runbook.params, paramValues(runbook.params, parsed, bare));
  const anyDatabase = namesDatabase(runbook);
  const { database: _own, ...others } = parsed.flags;
  const given = targetFlags(anyDatabase ? others : parsed.flags);
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

/**
 * The target's flags, where a parameter (`target: true`) may name the cluster as well as --cluster does; that parameter then has the name,
 * whichever way it was given. @throws PgdbaError usage when the two differ
 */
function namedTarget(
  specs: Record<string, ParamSpec>,
  params: JsonObject,
  flags: TargetFlags,
): TargetFlags {
  const [param] = Object.entries(specs).find(([, spec]) => spec.target === true) ?? [];
  if (param === undefined) return flags;
  const said = params[param];
  if (typeof said !== "string") {
    params[param] = flags.cluster ?? null;
    return flags;
  }
  const others = Object.keys(flags).filter((key) => key !== "cluster");
  if (others.length === 0 && (flags.cluster === undefined || flags.cluster === said))
    return { cluster: said };
  throw new PgdbaError(
    "usage",
    `--${param.replaceAll("_", "-")} and ${Object.keys(flags)
      .map((key) => `--${key}`)
      .join(", ")} contradict each other`,
    { hint: "They name the same thing. Give one of them." },
  );
}

/** `health check` for health/check. */
export function commandName(runbook: string): string {
  return runbook.replaceAll("/", " ");
}
