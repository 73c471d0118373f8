import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validateParams } from "../check/params.ts";
import { validate } from "../check/validate.ts";
import { compileClosure } from "../cli/closure.ts";
import { newRunId } from "../cli/start-run.ts";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import { Journal } from "../journal/journal.ts";
import { LIMITS } from "../load/limits.ts";
import { parseDocument } from "../load/parse.ts";
import { BACKUP_PATH, executeRun, type Host } from "../run.ts";
import { Stop } from "../run/stop.ts";
import { readText } from "../shared/read-file.ts";
import { Secrets } from "../secrets.ts";
import type {
  Clock,
  Json,
  JsonObject,
  Library,
  Runbook,
  StepNode,
  StepRegistry,
} from "../types.ts";
import { TEST_FILE, type TestCase } from "./case.ts";
import { leapingClock, mockRegistry, mockTarget } from "./mock.ts";

export interface CaseResult {
  runbook: string;
  name: string;
  passed: boolean;
  /** What was expected and what came, one line each. */
  problems: string[];
}

/** The test file of a runbook: its own file's name with `.test.yaml`. */
export function testFileOf(file: string): string | undefined {
  const test = file.replace(/\.yaml$/, ".test.yaml");
  return existsSync(test) ? test : undefined;
}

/** Runs every case of a test file on the real engine, with providers mocked and a clock that does not wait. */
export async function runTestFile(
  file: string,
  name: string,
  parts: { library: Library; registry: StepRegistry; clock: Clock },
): Promise<CaseResult[]> {
  const { data } = parseDocument(readText(file, { maxBytes: LIMITS.bytes }), file);
  const problems = validate(TEST_FILE, data, "the test file");
  if (problems.length > 0) {
    throw new PgdbaError(
      "invalid_runbook",
      `${file}: ${problems.map((one) => one.message).join("; ")}`,
      {
        where: { file, line: 1, column: 1 },
        hint: "docs/authoring.md shows a test file.",
      },
    );
  }
  const stateDir = mkdtempSync(join(tmpdir(), "pgdba-test-"));
  const journal = new Journal(stateDir, new Secrets());
  try {
    const { runbook, runbooks } = await compileClosure(name, parts.library, parts.registry);
    const results: CaseResult[] = [];
    for (const test of (data as unknown as { cases: TestCase[] }).cases) {
      const found = await runCase(test, runbook, runbooks, { ...parts, journal, stateDir });
      results.push({ runbook: name, name: test.name, passed: found.length === 0, problems: found });
    }
    return results;
  } finally {
    journal.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function runCase(
  test: TestCase,
  runbook: Runbook,
  runbooks: Map<string, Runbook>,
  parts: {
    library: Library;
    registry: StepRegistry;
    clock: Clock;
    journal: Journal;
    stateDir: string;
  },
): Promise<string[]> {
  const problems = unknownFixtures(test, runbooks);
  const mocked = mockRegistry(parts.registry, test.fixtures ?? {});
  const clock = leapingClock(parts.clock);
  const undone: string[] = [];
  const host: Host = {
    journal: parts.journal,
    registry: mocked.registry,
    library: parts.library,
    secrets: new Secrets(),
    clock,
    // The clock leaps past any lease that a real run has.
    env: { PGDBA_LEASE_MS: String(Number.MAX_SAFE_INTEGER) },
    cwd: parts.stateDir,
    stateDir: parts.stateDir,
    listener: (event) => {
      if (event.kind === "undo.finished" && event.error === null) undone.push(event.path);
    },
    newRunId: () => newRunId(parts.clock.now()),
  };
  const needs = [...new Set([...runbooks.values()].flatMap((one) => one.needs))];
  const open = Object.fromEntries(
    Object.entries(runbook.params).map(([key, spec]) => [key, { ...spec, secret: false }]),
  );
  let actual: Actual;
  try {
    const params = validateParams(open, test.params ?? {});
    const { envelope, exit, status } = await executeRun(host, {
      command: "test",
      runbook,
      runbooks,
      params,
      recordedParams: params,
      target: mockTarget(test, needs),
      targetFlags: {},
      plan: test.flags?.plan ?? false,
      lockWaitMs: 0,
      stop: new Stop(),
      asked: {
        flags: {
          yes: test.flags?.yes ?? false,
          confirm: test.flags?.confirm ?? null,
          iKnowWhatIAmDoing: test.flags?.i_know_what_i_am_doing ?? false,
          explicitCluster: test.target?.cluster !== undefined,
        },
        caller: "test",
        policy: [],
        backupRunbook: runbooks.has("backup/create"),
        confirm: undefined,
      },
    });
    const { run, ...data } = (envelope.data ?? {}) as JsonObject;
    const about = (run ?? envelope.error?.run) as { steps: { path: string; status: string }[] };
    actual = {
      exit,
      status,
      error: envelope.error?.code ?? null,
      output: data,
      steps: about.steps,
    };
  } catch (thrown) {
    const error = toPgdbaError(thrown);
    actual = { exit: null, status: "refused", error: error.code, output: null, steps: [] };
  }
  problems.push(...mocked.missing.map((path) => `${path} was called and has no fixture`));
  return [...problems, ...compare(test.expect, actual, undone)];
}

interface Actual {
  exit: number | null;
  status: string;
  error: string | null;
  output: Json;
  steps: { path: string; status: string }[];
}

function compare(expect: TestCase["expect"], actual: Actual, undone: string[]): string[] {
  const problems: string[] = [];
  const same = (what: string, wanted: unknown, got: unknown) => {
    if (wanted !== undefined && wanted !== got)
      problems.push(`${what}: expected ${String(wanted)}, got ${String(got)}`);
  };
  same("status", expect.status, actual.status);
  same("exit", expect.exit, actual.exit);
  same("error", expect.error, actual.error);
  if (
    expect.error === undefined &&
    actual.error !== null &&
    expect.status === undefined &&
    expect.exit === undefined
  ) {
    problems.push(`error: expected none, got ${actual.error}`);
  }
  for (const [path, status] of Object.entries(expect.steps ?? {})) {
    same(
      `step ${path}`,
      status,
      actual.steps.findLast((step) => step.path === path)?.status ?? "not reached",
    );
  }
  if (expect.undone) same("undone", expect.undone.join(", "), undone.join(", "));
  if (expect.output !== undefined)
    problems.push(...differences(expect.output, actual.output, "output"));
  return problems;
}

/** Where `actual` lacks what is `wanted`; keys that are not asked for don't matter. */
function differences(wanted: Json, actual: Json | undefined, path: string): string[] {
  if (wanted !== null && typeof wanted === "object" && !Array.isArray(wanted)) {
    const found =
      actual !== null && typeof actual === "object" && !Array.isArray(actual) ? actual : {};
    return Object.entries(wanted).flatMap(([key, value]) =>
      differences(value, found[key], `${path}.${key}`),
    );
  }
  if (Bun.deepEquals(wanted, actual)) return [];
  return [`${path}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual ?? null)}`];
}

/** A fixture for a step that does not exist is a misspelling. */
function unknownFixtures(test: TestCase, runbooks: Map<string, Runbook>): string[] {
  const ids = new Set([BACKUP_PATH]);
  const collect = (nodes: readonly StepNode[]): void => {
    for (const node of nodes) {
      ids.add(node.id);
      if (node.node === "block")
        [node.block, node.rescue ?? [], node.always ?? []].forEach(collect);
      else if (node.undo) collect(node.undo);
    }
  };
  for (const runbook of runbooks.values()) collect(runbook.steps);
  return Object.keys(test.fixtures ?? {})
    .filter(
      (key) =>
        !key
          .split("/")
          .every(
            (part, index) =>
              ids.has(part.replace(/(@\d+|~undo)$/, "")) || (index > 0 && /^\d+$/.test(part)),
          ),
    )
    .map((key) => `fixtures: there is no step ${key}`);
}
