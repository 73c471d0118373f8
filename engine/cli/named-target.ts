/** What parameters say of a run before it begins: on which cluster it works, and by which runbook. */
import { PgdbaError } from "../errors.ts";
import type { Beside, JsonObject, ParamSpec } from "../types.ts";
import { flagsAmong, paramFlags } from "./args.ts";
import type { TargetFlags } from "./front.ts";

type Specs = Record<string, ParamSpec>;

const flagOf = (param: string) => `--${param.replaceAll("_", "-")}`;

/** The runbook whose the run is where a parameter that names one (`runbook`) is given, a boolean as true. It may know flags that the first one does not. */
export function otherRunbook(specs: Specs, argv: string[]): string | undefined {
  const named = Object.entries(specs).filter(([, spec]) => spec.runbook !== undefined);
  if (named.length === 0) return undefined;
  const flags = flagsAmong(argv, paramFlags(specs));
  return named.find(([name]) => {
    const given = flags[name.replaceAll("_", "-")];
    return given !== undefined && given !== false;
  })?.[1].runbook;
}

/**
 * The target's flags, where a parameter (`target`) may name the cluster as well as --cluster does; that parameter then has the name,
 * whichever way it was given. @throws PgdbaError usage when the two differ
 */
export function namedTarget(specs: Specs, params: JsonObject, flags: TargetFlags): TargetFlags {
  const [param, spec] = Object.entries(specs).find(([, one]) => one.target !== undefined) ?? [];
  if (param === undefined) return flags;
  if (typeof spec!.target === "object") return besideTarget(param, spec!.target, params, flags);
  const said = params[param];
  if (typeof said !== "string") {
    params[param] = flags.cluster ?? null;
    return flags;
  }
  const others = Object.keys(flags).filter((key) => key !== "cluster");
  if (others.length === 0 && (flags.cluster === undefined || flags.cluster === said))
    return { cluster: said };
  throw new PgdbaError("usage", `${flagOf(param)} and ${flagsOf(flags)} contradict each other`, {
    hint: "They name the same thing. Give one of them.",
  });
}

/** @throws PgdbaError usage where neither of the two clusters is named, or both are one */
function besideTarget(
  param: string,
  { from, suffix }: Beside,
  params: JsonObject,
  flags: TargetFlags,
): TargetFlags {
  const { cluster, ...others } = flags;
  const said = params[param];
  const first = params[from] ?? cluster ?? null;
  if (Object.keys(others).length > 0)
    throw new PgdbaError("usage", `${flagsOf(others)} names a server, and a cluster is needed`, {
      hint: `Name it with --cluster, or give ${flagOf(param)}.`,
    });
  if (typeof said !== "string" && typeof first !== "string")
    throw new PgdbaError("usage", "No cluster is named", {
      hint: `Name it with --cluster, or give ${flagOf(param)}.`,
    });
  const target = typeof said === "string" ? said : `${String(first)}${suffix}`;
  if (target === first || (cluster !== undefined && cluster !== first && cluster !== target))
    throw new PgdbaError("usage", `${flagOf(param)} and --cluster are two clusters here`, {
      hint: `--cluster, or ${flagOf(from)}, is the one that is there; ${flagOf(param)} the one that is made.`,
    });
  params[param] = target;
  params[from] = first;
  return { cluster: target };
}

const flagsOf = (flags: TargetFlags) =>
  Object.keys(flags)
    .map((key) => `--${key}`)
    .join(", ");
