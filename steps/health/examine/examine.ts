import { PgdbaError } from "../../../engine/errors.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import { commandLine } from "../../command-line.ts";
import type { Check } from "../check/check.ts";
import { MAX_ROWS, type Result, runChecks, skipCode } from "./execute.ts";
import type { Open } from "../../sql/again.ts";
import type { Limits } from "./limits.ts";
import type { Facts } from "./facts.ts";
import { judge, type Judged, type Unseen } from "./judge.ts";
import { type Failure, grantFor, type Note, obstacle } from "./select.ts";

/** The results of checks on one connection. */
export interface Examined {
  judged: Judged[];
  partial: Note[];
  skipped: Note[];
  errors: Failure[];
  /** Names of the checks that looked at everything and found nothing wrong. */
  passed: string[];
}

/** Objects that could not be judged, listed of one check. */
const LISTED = 50;

/** Runs `checks` in one database, and those of them that are `auxiliary` without a word of their own. */
export async function examine(
  ctx: StepContext,
  open: Open,
  facts: Facts,
  checks: readonly Check[],
  given: { params: ReadonlyMap<string, JsonObject>; auxiliary: ReadonlySet<Check>; limits: Limits },
): Promise<Examined> {
  const { params, auxiliary, limits } = given;
  const out: Examined = { judged: [], partial: [], skipped: [], errors: [], passed: [] };
  const grantOf = (check: Check): string =>
    check.grant === undefined ? grantFor(check, facts) : ctx.render(check.grant, { server: facts });
  const settingOf = (name: string, value: string): string =>
    commandLine(ctx.target, ["config", "apply", "--settings", JSON.stringify({ [name]: value })]);
  const limited = new Set<Check>();
  const runnable = checks.filter((check) => {
    const found = obstacle(check, facts, () => grantOf(check), settingOf);
    if (found === null) return true;
    const { partial, ...note } = found;
    if (partial) limited.add(check);
    if (!auxiliary.has(check)) (partial ? out.partial : out.skipped).push(note);
    return partial;
  });
  for (const result of await runChecks(open, runnable, facts, limits)) {
    const { check, rows, truncated } = result;
    const silent = auxiliary.has(check);
    try {
      if (result.error !== null) throw result.error;
      const { judged, unseen } = judge(ctx, check, {
        rows,
        params: params.get(check.name) ?? {},
        facts,
        partial: limited.has(check),
        auxiliary: silent,
      });
      out.judged.push(...judged);
      if (silent) continue;
      const isWhole = judged.length === 0 && unseen.some(({ object }) => object === null);
      (isWhole ? out.skipped : out.partial).push(...notesOf(check, facts, unseen));
      if (truncated) out.partial.push(truncatedNote(check, facts));
      const complete = unseen.length === 0 && !truncated && !limited.has(check);
      if (complete && judged.every(({ severity }) => severity === null))
        out.passed.push(check.name);
    } catch (thrown) {
      if (!(thrown instanceof PgdbaError)) throw thrown;
      if (!silent) failed(out, result, thrown, facts, grantOf(check));
    }
  }
  return out;
}

function failed(
  out: Examined,
  { check }: Result,
  error: PgdbaError,
  facts: Facts,
  grant: string,
): void {
  const code = skipCode(error);
  const note = {
    check: check.name,
    database: databaseOf(check, facts),
    reason: error.message,
    hint: code === "privilege" ? grant : (error.hint ?? null),
  };
  out.partial = out.partial.filter((one) => one.check !== check.name);
  if (code === undefined)
    out.errors.push({ ...note, code: error.code, sqlstate: sqlstateOf(error) ?? null });
  else out.skipped.push({ ...note, code, object: null, total: null });
}

function notesOf(check: Check, facts: Facts, unseen: readonly Unseen[]): Note[] {
  const total = unseen.length > LISTED ? unseen.length : null;
  const database = databaseOf(check, facts);
  return unseen
    .slice(0, LISTED)
    .map((one) => ({ check: check.name, code: "unknown", database, ...one, total }));
}

function truncatedNote(check: Check, facts: Facts): Note {
  return {
    check: check.name,
    code: "truncated",
    database: databaseOf(check, facts),
    object: null,
    reason: `Only the first ${MAX_ROWS} rows were judged, there are more`,
    hint: null,
    total: null,
  };
}

const databaseOf = ({ scope }: Check, facts: Facts): string | null =>
  scope === "database" ? facts.database : null;
