import { resolve } from "node:path";
import { PgdbaError } from "../../errors.ts";
import { runTestFile, testFileOf, type CaseResult } from "../../testing/run-tests.ts";
import type { Json } from "../../types.ts";
import { count } from "../../view/text.ts";
import type { Command } from "../command.ts";
import { libraryOf, loadRegistry } from "../library.ts";

export default {
  summary: "Run the tests of runbooks, with providers mocked",
  usage: "[<runbook> …]",
  async run(front, parsed, words) {
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const registry = await loadRegistry(front);
    const parts = { library, registry, clock: front.clock };
    const results: CaseResult[] = [];
    for (const name of words.length > 0
      ? words
      : library.entries("runbook").map((entry) => entry.name)) {
      const file = testFileOf(library.find(name)?.file ?? "");
      if (file) results.push(...(await runTestFile(resolve(file), name, parts)));
      else if (words.length > 0) {
        throw new PgdbaError("usage", `${name} has no test file`, {
          hint: `Write ${name.split("/").at(-1)}.test.yaml beside it; docs/authoring.md shows one.`,
        });
      }
    }
    const failed = results.filter((one) => !one.passed);
    for (const { runbook, name, problems } of failed)
      front.stderr.write(
        `${runbook}: ${name}\n${problems.map(({ where, message }) => `  ${where.file}:${where.line}:${where.column}: ${message}\n`).join("")}`,
      );
    const data = {
      passed: results.length - failed.length,
      failed: failed.length,
      cases: results as unknown as Json,
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
