import { isMapping } from "../json.ts";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validateParams } from "../check/params.ts";
import { createReport, type Report } from "../check/report.ts";
import { validate } from "../check/validate.ts";
import { type Closure, compileClosure } from "../cli/closure.ts";
import { newRunId } from "../cli/start-run.ts";
import { EXIT_BY_CODE, toPgdbaError } from "../errors.ts";
import { Journal } from "../journal/journal.ts";
import { LIMITS } from "../load/limits.ts";
import { invalidRunbook } from "../load/frame.ts";
import { suggest } from "../shared/suggest.ts";
import { parseDocument } from "../load/parse.ts";
import { BACKUP_PATH, executeRun } from "../run.ts";
import type { Host, RunOutcome, RunRequest } from "../run/request.ts";
import { inside } from "../run/seen.ts";
import { Stop } from "../run/stop.ts";
import { readText } from "../shared/read-file.ts";
import { Secrets } from "../secrets.ts";
import type {
  Clock,
  DocPath,
  Json,
  JsonObject,
  Library,
  Runbook,
  Step,
  StepRegistry,
  Where,
} from "../types.ts";
import { type Expectation, TEST_FILE, type TestCase, type TestFile } from "./case.ts";
import { type Actual, type ActualStep, compare, type Difference } from "./compare.ts";
import { leapingClock, Mock } from "./mock.ts";
import { MockTarget } from "./target.ts";

export interface CaseResult {
  runbook: string;
  name: string;
  passed: boolean;
  /** The differences, each with the place where the expectation is written. */
  problems: { where: Where; message: string }[];
}

export const TEST_ENDING = ".test.yaml";

/** The test file of a runbook: its own file's name with `.test.yaml`. */
export function testFileOf(file: string): string | undefined {
  const test = file.replace(/\.yaml$/, TEST_ENDING);
  return existsSync(test) ? test : undefined;
}

/** Runs every case of a test file on the real engine, with providers mocked and a clock that does not wait. */
export async function runTestFile(
  file: string,
  name: string,
  parts: { library: Library; registry: StepRegistry; clock: Clock },
): Promise<CaseResult[]> {
  const parsed = parseDocument(readText(file, { maxBytes: LIMITS.bytes }), file);
  const report = createReport(parsed);
  report.addSchema([], validate(TEST_FILE, parsed.data, "the test file"));
  const listed = (parsed.data as JsonObject | null)?.["cases"];
  const caseNames = Array.isArray(listed)
    ? listed.map((one) => (one as JsonObject | null)?.["name"])
    : [];
  for (const [at, one] of caseNames.entries())
    if (typeof one === "string" && caseNames.indexOf(one) < at)
      report.add(["cases", at, "name"], {
        rule: "duplicate-case",
        message: `a case above is called ${JSON.stringify(one)} already`,
        hint: "Give each case a name of its own.",
      });
  bothAnswers(parsed.data as JsonObject | null, report);
  const faults = report.sorted();
  if (faults.length > 0) throw invalidRunbook(faults);
  const { cases, fixtures } = parsed.data as unknown as TestFile;
  const placed = ({ path, message }: Difference): CaseResult["problems"][number] => {
    const { line, column } = parsed.at(path, true);
    return { where: { file, line, column }, message };
  };
  const stateDir = mkdtempSync(join(tmpdir(), "pgdba-test-"));
  const journal = new Journal(stateDir, new Secrets());
  try {
    const closure = await compileClosure(name, parts.library, parts.registry);
    const { runbook, runbooks } = closure;
    const results: CaseResult[] = [];
    const ids = stepIds(runbooks);
    const unknown = (kind: "fixtures" | "steps", named: object | undefined, path: DocPath) =>
      Object.keys(named ?? {})
        .filter((key) => !isStep(key, ids))
        .map((key) => ({ path: [...path, key], message: `${kind}: there is no step ${key}` }));
    const shared = unknown("fixtures", fixtures, ["fixtures"]);
    for (const [at, test] of cases.entries()) {
      const path = ["cases", at];
      const below = (one: Difference) => ({ ...one, path: [...path, "expect", ...one.path] });
      const whole = { ...test, fixtures: { ...fixtures, ...test.fixtures } };
      const { actual, answers } = await runCase(whole, closure, {
        ...parts,
        journal,
        stateDir,
      });
      const problems = [
        ...(at === 0 ? shared : []),
        ...unknown("fixtures", test.fixtures, [...path, "fixtures"]),
        ...[...new Set(answers)].map((message) => ({ path, message })),
        ...unknownCrash(test, ids, path),
        ...unknown("steps", test.expect.steps, [...path, "expect", "steps"]),
        ...[...unknownUndone(test.expect, ids), ...noOutput(test.expect, runbook)].map(below),
        ...compare(test.expect, actual)
          .filter((one) => one.path[0] !== "steps" || isStep(String(one.path[1]), ids))
          .map(below),
      ].map(placed);
      results.push({ runbook: name, name: test.name, passed: problems.length === 0, problems });
    }
    return results;
  } finally {
    journal.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function runCase(
  test: TestCase,
  { runbook, runbooks, backups, needs }: Closure,
  parts: {
    library: Library;
    registry: StepRegistry;
    clock: Clock;
    journal: Journal;
    stateDir: string;
  },
): Promise<{ actual: Actual; answers: string[] }> {
  const target = new MockTarget(test, needs);
  const mock = new Mock(parts.registry, test.fixtures ?? {}, target);
  const undone: string[] = [];
  const id = newRunId(parts.clock.now());
  const host: Host = {
    journal: parts.journal,
    registry: mock.registry,
    library: parts.library,
    secrets: new Secrets(),
    clock: leapingClock(parts.clock),
    // The clock leaps past any lease that a real run has.
    env: { PGDBA_LEASE_MS: String(Number.MAX_SAFE_INTEGER) },
    cwd: parts.stateDir,
    stateDir: parts.stateDir,
    listener: (event) => {
      if (event.kind === "undo.finished" && event.error === null) undone.push(event.path);
    },
    newRunId: () => id,
    oneRound: true,
  };
  const open = Object.fromEntries(
    Object.entries(runbook.params).map(([key, spec]) => [key, { ...spec, secret: false }]),
  );
  let actual: Actual;
  try {
    const params = validateParams(open, test.params ?? {});
    const request: RunRequest = {
      command: "test",
      runbook,
      runbooks,
      params,
      recordedParams: params,
      target,
      targetFlags: {},
      backups,
      plan: test.flags?.plan ?? false,
      lockWaitMs: 0,
      stop: new Stop(),
      asked: {
        flags: {
          yes: test.flags?.yes ?? false,
          confirm: test.flags?.confirm ?? null,
          iKnowWhatIAmDoing: test.flags?.i_know_what_i_am_doing ?? false,
          explicitCluster: test.target?.cluster !== undefined,
          withoutBackup: test.flags?.without_backup ?? null,
        },
        caller: { name: "test", by: null },
        policy: [],
        confirm: undefined,
      },
    };
    const { envelope, exit, status } = await throughCrashes(test, { host, request, mock, id });
    const { run, ...data } = (envelope.data ?? {}) as JsonObject;
    const about = (run ?? envelope.error?.run) as unknown as {
      id: string;
      steps: Omit<ActualStep, "output">[];
      kept?: { steps: string[] }[];
    };
    const results = new Map(parts.journal.steps(about.id).map((row) => [row.path, row.result]));
    actual = {
      exit,
      status,
      error: envelope.error,
      output: data,
      steps: about.steps.map((step) => ({
        ...step,
        output: results.get(step.path)?.output ?? null,
        error: results.get(step.path)?.error ?? (step.error && { ...NO_ERROR, ...step.error }),
      })),
      undone,
      kept: (about.kept ?? []).flatMap((one) => one.steps),
    };
  } catch (thrown) {
    const { code, message, hint = null, step = null } = toPgdbaError(thrown);
    const error = { code, message, hint, step };
    actual = {
      exit: EXIT_BY_CODE[code],
      status: "refused",
      error,
      output: null,
      steps: [],
      undone,
      kept: [],
    };
  }
  return { actual, answers: mock.problems };
}

/** Runs a case; a process that dies in it is followed by one that resumes. @returns how the last one ended */
async function throughCrashes(
  { crash_at = [], assume = {} }: TestCase,
  { host, request, mock, id }: { host: Host; request: RunRequest; mock: Mock; id: string },
): Promise<RunOutcome> {
  const crashes = [crash_at].flat();
  let resume: RunRequest["resume"];
  for (const at of crashes) {
    mock.begin(at);
    const ended = await executeRun(host, {
      ...request,
      stop: new Stop(),
      ...(resume ? { resume } : {}),
    });
    if (!mock.dead) {
      mock.problems.push(`crash_at: the run did not come to ${at}`);
      return ended;
    }
    resume = { row: host.journal.run(id)!, assumed: new Map() };
  }
  mock.begin(undefined);
  if (resume) resume.assumed = new Map(Object.entries(assume));
  return executeRun(host, { ...request, ...(resume ? { resume } : {}) });
}

const NO_ERROR = { hint: null, step: null };

/** A step gives an output or fails; a fixture that says both says nothing. */
function bothAnswers(data: JsonObject | null, report: Report): void {
  const look = (fixtures: Json | undefined, path: DocPath): void => {
    for (const [key, given] of Object.entries(isMapping(fixtures) ? fixtures : {}))
      for (const one of [given].flat() as Json[])
        if (isMapping(one) && one["output"] !== undefined && one["error"] !== undefined)
          report.add([...path, key], {
            rule: "two-answers",
            message: `the fixture of \`${key}\` has an output and an error`,
            hint: "Give one of them, or a list of answers, one for each call.",
          });
  };
  look(data?.["fixtures"], ["fixtures"]);
  const cases = Array.isArray(data?.["cases"]) ? data["cases"] : [];
  for (const [at, one] of cases.entries())
    if (isMapping(one)) look(one["fixtures"], ["cases", at, "fixtures"]);
}

function stepIds(runbooks: Map<string, Runbook>): Set<string> {
  const ids = new Set([BACKUP_PATH]);
  const collect = (steps: readonly Step[]): void => {
    for (const step of steps) {
      ids.add(step.id);
      if (step.kind === "block") inside(step).forEach((inner) => collect([inner]));
      else if (step.undo) collect(step.undo);
    }
  };
  for (const runbook of runbooks.values()) collect(runbook.steps);
  return ids;
}

/** True when there is such a step; a misspelt one must not pass unnoticed. */
function isStep(key: string, ids: ReadonlySet<string>): boolean {
  return key
    .split("/")
    .every(
      (part, index) =>
        ids.has(part.replace(/(@\d+|~undo)$/, "")) || (index > 0 && /^\d+$/.test(part)),
    );
}

function unknownUndone({ undone = [] }: Expectation, ids: ReadonlySet<string>): Difference[] {
  return undone.flatMap((key, at) => {
    if (isStep(key, ids)) return [];
    const close = suggest(key, ids);
    const message = `undone: there is no step ${key}${close === undefined ? "" : `; did you mean ${close}?`}`;
    return [{ path: ["undone", at], message }];
  });
}

function unknownCrash(
  { crash_at = [], assume = {} }: TestCase,
  ids: ReadonlySet<string>,
  path: DocPath,
): Difference[] {
  const named = (key: string, names: string[]) =>
    names
      .filter((name) => !isStep(name, ids))
      .map((name) => ({ path: [...path, key], message: `${key}: there is no step ${name}` }));
  return [...named("crash_at", [crash_at].flat()), ...named("assume", Object.keys(assume))];
}

/** An output that does not exist has no value, so it is not null either. */
function noOutput({ output }: Expectation, runbook: Runbook): Difference[] {
  if (output === null || typeof output !== "object" || Array.isArray(output)) return [];
  return Object.keys(output)
    .filter((key) => output[key] === null && !Object.hasOwn(runbook.output, key))
    .map((key) => ({ path: ["output", key], message: `output: there is no output ${key}` }));
}
