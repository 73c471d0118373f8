import { readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { didYouMean } from "../../check/messages.ts";
import { PgdbaError, toPgdbaError } from "../../errors.ts";
import { runTestFile, TEST_ENDING, testFileOf, type CaseResult } from "../../testing/run-tests.ts";
import type { Diagnostic, Json, Library } from "../../types.ts";
import { count } from "../../view/text.ts";
import type { Command } from "../command.ts";
import { tell } from "../format.ts";
import { libraryOf } from "../library.ts";
import { loadRegistry } from "../user-steps.ts";

export default {
  name: "test",
  place: 5,
  summary: "Run the tests of runbooks, with providers mocked",
  usage: "[<runbook> …]",
  takes: "runbook",
  async run(front, parsed, words) {
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const registry = await loadRegistry(front);
    const parts = { library, registry, clock: front.clock };
    const results: CaseResult[] = words.length > 0 ? [] : strayFiles(library);
    for (const { name, file } of tested(library, words)) {
      try {
        results.push(...(await runTestFile(resolve(file), name, parts)));
      } catch (thrown) {
        // A faulty file does not keep the others from being run.
        results.push(broken(name, file, thrown));
      }
    }
    const failed = results.filter((one) => !one.passed);
    // Failed ones stand first: a long answer is cut at its end.
    const shown = [...failed, ...results.filter((one) => one.passed)].map((one) => ({
      ...one,
      problems: one.problems.map(line),
    }));
    for (const { runbook, name, problems } of shown.slice(0, failed.length))
      await tell(
        front,
        parsed.flags["quiet"],
        `${runbook}: ${name}\n${problems.map((problem) => `  ${problem}\n`).join("")}`,
      );
    const data = {
      passed: results.length - failed.length,
      failed: failed.length,
      cases: shown as unknown as Json,
    };
    if (failed.length === 0) return { exit: 0, data, text: `${count(data.passed, "case")} passed` };
    throw new PgdbaError(
      "test_failed",
      `${failed.length} of ${count(results.length, "case")} failed`,
      {
        hint: "Each case says what was expected and what came.",
        data,
      },
    );
  },
} satisfies Command;

function line({ where, message }: CaseResult["problems"][number]): string {
  return `${where.file}:${where.line}:${where.column}: ${message}`;
}

/** The runbooks to test, with their test files. @throws PgdbaError unknown_runbook | usage for one that has none */
function tested(library: Library, words: string[]): { name: string; file: string }[] {
  const names = library.entries("runbook").map((entry) => entry.name);
  return (words.length > 0 ? words : names).flatMap((name) => {
    if (!names.includes(name))
      throw new PgdbaError("unknown_runbook", `There is no runbook ${name.slice(0, 200)}`, {
        hint: didYouMean(name, names) ?? "`pgdba list` shows them all.",
      });
    const file = testFileOf(library.find(name)!.file);
    if (file !== undefined) return [{ name, file }];
    if (words.length === 0) return [];
    throw new PgdbaError("usage", `${name} has no test file`, {
      hint: `Write ${basename(name)}${TEST_ENDING} beside it; docs/authoring.md shows one.`,
    });
  });
}

/** Test files beside runbooks that test none of them: misspelt, they would never be run. */
function strayFiles(library: Library): CaseResult[] {
  const files = new Set(library.entries().map(({ file }) => resolve(file)));
  const dirs = new Set([...files].map((file) => dirname(file)));
  return [...dirs].flatMap((dir) =>
    readdirSync(dir)
      .filter((name) => name.endsWith(TEST_ENDING))
      .map((name) => join(dir, name))
      .filter((file) => !files.has(file.replace(TEST_ENDING, ".yaml")))
      .map((file) => {
        const near = [...files]
          .filter((each) => dirname(each) === dir)
          .map((each) => basename(each));
        const hint = didYouMean(basename(file).replace(TEST_ENDING, ".yaml"), near);
        return {
          runbook: basename(file),
          name: "the file",
          passed: false,
          problems: [
            {
              where: { file, line: 1, column: 1 },
              message: `there is no runbook that this would test${hint ? `. ${hint}` : ""}`,
            },
          ],
        };
      }),
  );
}

function broken(runbook: string, file: string, thrown: unknown): CaseResult {
  const { message, where, data } = toPgdbaError(thrown);
  const { diagnostics = [] } = (data ?? {}) as { diagnostics?: Diagnostic[] };
  const problems =
    diagnostics.length > 0
      ? diagnostics.map(({ where, message, hint }) => ({
          where,
          message: hint === undefined ? message : `${message}. ${hint}`,
        }))
      : [{ where: where ?? { file, line: 1, column: 1 }, message }];
  return { runbook, name: "the file", passed: false, problems };
}
